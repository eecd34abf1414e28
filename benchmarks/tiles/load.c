/* A load generator that reads every answer, on one thread, over keep-alive connections that belong to readers.
 *
 *   load PORT MODE CONNECTIONS SECONDS REQUESTS GROUP INTERVAL_US TARGETS CREDENTIALS
 *
 * stream   CONNECTIONS readers with a connection each. Each asks for GROUP targets in a row under one credential, then
 *          for the next GROUP of the list under the next credential; the next target as soon as the last is whole.
 *          A latency is a target's.
 * screens  One reader with CONNECTIONS connections fetches GROUP targets over all of them, then the next GROUP under the
 *          next credential. A latency is a group's: from asking for its first target to having its last.
 * open     As many readers as there are credentials, CONNECTIONS each. Every INTERVAL_US a GROUP falls due at the next
 *          reader, whether what was due before is answered or not. A latency is a target's, from when it fell due.
 *
 * TARGETS: a line "LENGTH PATH" each, LENGTH 0 where it is not known beforehand; the list is gone through again and
 * again. CREDENTIALS: a Cookie header's value a line; "-" for none. It ends after SECONDS, or after REQUESTS answers when
 * that is not 0. An answer counts when its status is 200, its Content-Length the expected one, and its body starts and
 * ends as a JPEG does; the first one that does not ends the run with status 1 and a sentence. Standard output: "name
 * value" lines.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RESPONSE_MAX = 1 << 20, REQUEST_MAX = 4096, CONNECTIONS_MAX = 1024, RECONNECTS_MAX = 3 };
enum mode { STREAM, SCREENS, OPEN };

struct target { size_t length; char *path; };
/* Whoever looks at groups of targets one after the other. */
struct reader {
    size_t group, taken, answered; /* the group at hand, and how many of its targets were asked for and answered */
    uint64_t asked_ns;             /* when the group was begun */
    int idle;                      /* open: no group is due */
};
struct connection {
    int fd, retries, closing, waiting;
    struct reader *reader;
    const struct target *target;
    char request[REQUEST_MAX], *response;
    size_t request_size, sent, received, header_size, body_size;
    uint64_t since_ns;
};

static enum mode mode;
static struct target *targets;
static char **credentials;
static size_t target_count, credential_count, group_size, next_group, asked, request_limit;
static uint64_t start_ns, interval_ns;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int poller;

static uint64_t *latencies_ns;
static size_t answers, latency_count, capacity;
static uint64_t bytes, reconnects;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *grown(void *block, size_t count, size_t *room, size_t size) {
    if (count < *room) return block;
    *room = *room ? *room * 2 : 4096;
    block = realloc(block, *room * size);
    if (!block) fail("Out of memory.");
    return block;
}

static void read_lists(const char *targets_path, const char *credentials_path) {
    char line[REQUEST_MAX];
    size_t room = 0;
    FILE *file = fopen(targets_path, "r");
    if (!file) fail("Cannot read the targets in %s: %s", targets_path, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        char *path;
        targets = grown(targets, target_count, &room, sizeof *targets);
        targets[target_count].length = strtoul(line, &path, 10);
        path += strspn(path, " ");
        path[strcspn(path, "\r\n")] = 0;
        targets[target_count++].path = strdup(path);
    }
    fclose(file);
    if (!target_count) fail("%s names no target.", targets_path);
    if (!strcmp(credentials_path, "-")) return;
    if (!(file = fopen(credentials_path, "r"))) fail("Cannot read %s: %s", credentials_path, strerror(errno));
    for (room = 0; fgets(line, sizeof line, file);) {
        credentials = grown(credentials, credential_count, &room, sizeof *credentials);
        line[strcspn(line, "\r\n")] = 0;
        credentials[credential_count++] = strdup(line);
    }
    fclose(file);
}

static void dial(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("No server: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

/* Sends what is left of the request; on a full socket (requests are small: seldom) waits for room. */
static void push(struct connection *c) {
    while (c->sent < c->request_size) {
        ssize_t n = send(c->fd, c->request + c->sent, c->request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) continue;
        if (n < 0) return; /* a connection closed between two answers: found, and redialled, by the next read */
        c->sent += (size_t)n;
    }
}

/* When a group falls due; only in an open loop does that differ from when it is asked for. */
static uint64_t due_ns(size_t group) { return start_ns + group * interval_ns; }

/* The next target for a reader's connection; NULL when there is none for it now. */
static const struct target *next_target(struct connection *c, uint64_t now) {
    struct reader *r = c->reader;
    if (request_limit && asked >= request_limit) return NULL;
    if (r->taken == group_size) {
        if (mode == SCREENS && r->answered < group_size) return NULL;
        /* In an open loop the groups go round the readers; otherwise whoever is done takes the next one. */
        size_t next = mode == OPEN ? r->group + credential_count : next_group;
        if (mode == OPEN && due_ns(next) > now) return NULL;
        if (mode != OPEN) next_group++;
        *r = (struct reader){.group = next, .asked_ns = mode == OPEN ? due_ns(next) : now};
    }
    asked++;
    return &targets[(r->group * group_size + r->taken++) % target_count];
}

/* Asks for the connection's next target, if there is one. */
static void ask(struct connection *c) {
    uint64_t now = now_ns();
    const struct target *t = next_target(c, now);
    const char *cookie = credential_count ? credentials[c->reader->group % credential_count] : NULL;
    c->waiting = t != NULL;
    if (!t) return;
    int n = snprintf(c->request, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s\r\n", t->path,
                     cookie ? "Cookie: " : "", cookie ? cookie : "", cookie ? "\r\n" : "");
    if (n >= REQUEST_MAX) fail("Request too long: %s", t->path);
    c->target = t;
    c->request_size = (size_t)n;
    c->sent = c->received = c->header_size = 0;
    c->closing = 0;
    c->since_ns = mode == OPEN ? c->reader->asked_ns : now;
    push(c);
}

static void redial(struct connection *c) {
    close(c->fd);
    reconnects++;
    dial(c);
}

static void parse_header(struct connection *c) {
    char *end = memmem(c->response, c->received, "\r\n\r\n", 4);
    const char *path = c->target->path;
    long length = -1;
    if (!end) return;
    *end = 0;
    c->header_size = (size_t)(end - c->response) + 4;
    if (c->received < 12 || strncmp(c->response, "HTTP/1.1 200", 12)) fail("%s was answered: %.64s", path, c->response);
    for (char *line = strstr(c->response, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
        if (!strncasecmp(line, "connection: close", 17)) c->closing = 1;
    }
    if (length < 4 || (c->target->length && (size_t)length != c->target->length))
        fail("%s has length %ld where %zu was expected.", path, length, c->target->length);
    if (c->header_size + (size_t)length > RESPONSE_MAX) fail("%s is longer than a tile can be: %ld.", path, length);
    c->body_size = (size_t)length;
}

/* Whether the answer is complete; ends the run when it is not what it should be. */
static int complete(struct connection *c) {
    const unsigned char *body = (unsigned char *)c->response + c->header_size, *last = body + c->body_size - 2;
    if (!c->header_size || c->received < c->header_size + c->body_size) return 0;
    if (c->received > c->header_size + c->body_size) fail("%s was answered with more than its length.", c->target->path);
    if (body[0] != 0xff || body[1] != 0xd8 || last[0] != 0xff || last[1] != 0xd9) fail("%s is no JPEG.", c->target->path);
    return 1;
}

/* Reads what has come; returns whether the answer is complete. */
static int pull(struct connection *c) {
    ssize_t n = recv(c->fd, c->response + c->received, RESPONSE_MAX - c->received, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (!c->waiting) { /* a server may end a connection that nobody uses, and say nothing unasked */
        if (n > 0) fail("A connection was answered without a question.");
        redial(c);
        return 0;
    }
    if (n <= 0) { /* keep-alive ended by the server between two answers: the same request again; otherwise a fault */
        if (c->received || c->retries++ >= RECONNECTS_MAX) fail("Connection lost in the answer to %s.", c->target->path);
        redial(c);
        c->sent = 0;
        push(c);
        return 0;
    }
    c->received += (size_t)n;
    if (!c->header_size) parse_header(c);
    return complete(c);
}

static void keep_latency(uint64_t since_ns) {
    latencies_ns = grown(latencies_ns, latency_count, &capacity, sizeof *latencies_ns);
    latencies_ns[latency_count++] = now_ns() - since_ns;
}

static void count(struct connection *c) {
    int whole_group = ++c->reader->answered == group_size;
    if (mode != SCREENS) keep_latency(c->since_ns);
    else if (whole_group) keep_latency(c->reader->asked_ns);
    answers++;
    bytes += c->body_size;
    c->retries = 0;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static size_t whole_number(const char *text, size_t low, size_t high, const char *what) {
    size_t number = strtoul(text, NULL, 10);
    if (number < low || number > high) fail("%s: from %zu to %zu.", what, low, high);
    return number;
}

static enum mode mode_named(const char *name) {
    static const char *const names[] = {"stream", "screens", "open"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) return (enum mode)i;
    fail("There is no mode %s.", name);
    return STREAM;
}

static double percentile_us(double share) {
    return (double)latencies_ns[(size_t)((double)(latency_count - 1) * share)] / 1000;
}

int main(int argc, char **argv) {
    static struct connection connections[CONNECTIONS_MAX];
    static struct reader readers[CONNECTIONS_MAX];
    struct epoll_event events[64];
    struct rusage usage;
    if (argc != 10) fail("usage: load PORT MODE CONNECTIONS SECONDS REQUESTS GROUP INTERVAL_US TARGETS CREDENTIALS");
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mode = mode_named(argv[2]);
    request_limit = strtoul(argv[5], NULL, 10);
    group_size = whole_number(argv[6], 1, 1 << 20, "Targets in a group");
    interval_ns = strtoul(argv[7], NULL, 10) * 1000;
    read_lists(argv[8], argv[9]);
    if (mode == OPEN && (!credential_count || !interval_ns)) fail("An open loop needs credentials and an interval.");
    size_t each = whole_number(argv[3], 1, CONNECTIONS_MAX, "Connections");
    size_t reader_count = mode == OPEN ? credential_count : mode == SCREENS ? 1 : each;
    size_t connection_count = mode == STREAM ? each : each * reader_count;
    if (connection_count > CONNECTIONS_MAX) fail("At most %d connections.", CONNECTIONS_MAX);
    poller = epoll_create1(0);
    for (size_t i = 0; i < connection_count; i++) {
        connections[i].reader = &readers[i % reader_count];
        connections[i].response = malloc(RESPONSE_MAX);
        if (!connections[i].response) fail("Out of memory.");
        dial(&connections[i]);
    }

    start_ns = now_ns();
    uint64_t deadline = start_ns + (uint64_t)(atof(argv[4]) * 1e9), now = start_ns;
    for (size_t i = 0; i < reader_count; i++)
        readers[i] = (struct reader){.group = i - reader_count, .taken = group_size, .answered = group_size};
    for (size_t i = 0; i < connection_count; i++) ask(&connections[i]);
    while (now < deadline && !(request_limit && answers >= request_limit)) {
        uint64_t due = due_ns(next_group);
        int patience = mode != OPEN ? 100 : due <= now ? 0 : (int)((due - now + 999999) / 1000000);
        int ready = epoll_wait(poller, events, 64, patience);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!pull(c)) continue;
            count(c);
            if (c->closing) redial(c);
            ask(c);
            /* The last answer of a screen sets the reader's other connections to work as well. */
            if (mode == SCREENS && c->reader->taken == 1)
                for (size_t k = 0; k < connection_count; k++)
                    if (!connections[k].waiting) ask(&connections[k]);
        }
        now = now_ns();
        for (; mode == OPEN && due_ns(next_group) <= now; next_group++)
            for (size_t k = next_group % reader_count; k < connection_count; k += reader_count)
                if (!connections[k].waiting) ask(&connections[k]);
    }
    if (!latency_count) fail("No answer within %s s.", argv[4]);

    qsort(latencies_ns, latency_count, sizeof *latencies_ns, by_value);
    getrusage(RUSAGE_SELF, &usage);
    printf("answers %zu\nseconds %.6f\nbytes %llu\nreconnects %llu\np50_us %.1f\np95_us %.1f\np99_us %.1f\nclient_cpu_s %.3f\n",
           answers, (double)(now - start_ns) / 1e9, (unsigned long long)bytes, (unsigned long long)reconnects,
           percentile_us(0.50), percentile_us(0.95), percentile_us(0.99),
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    return 0;
}
