/* A load generator that reads every answer: N keep-alive connections on one thread, each asking for the next tile of a
 * fixed list under the next credential of another, as soon as its last answer is complete and right.
 *
 *   load PORT CONNECTIONS SECONDS REQUESTS TARGETS CREDENTIALS
 *
 * TARGETS: a line "LENGTH PATH" each, LENGTH 0 where it is not known beforehand. CREDENTIALS: a Cookie header's value a
 * line; "-" for none. It ends after SECONDS, or after REQUESTS answers when that is not 0. An answer counts when its
 * status is 200, its Content-Length the expected one, and its body starts and ends as a JPEG does; the first one that
 * does not ends the run with status 1 and a sentence. Standard output: "name value" lines.
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

struct target { size_t length; char *path; };
struct connection {
    int fd, retries;
    const struct target *target;
    char request[REQUEST_MAX], *response;
    size_t request_size, sent, received, header_size, body_size;
    int closing;
    uint64_t asked_ns;
};

static struct target *targets;
static char **credentials;
static size_t target_count, credential_count, next_request, request_limit;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int poller;

static uint32_t *latencies_us;
static size_t answers, capacity;
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

static void ask(struct connection *c) {
    const struct target *t = &targets[next_request % target_count];
    const char *cookie = credential_count ? credentials[next_request % credential_count] : NULL;
    int n = snprintf(c->request, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s\r\n", t->path,
                     cookie ? "Cookie: " : "", cookie ? cookie : "", cookie ? "\r\n" : "");
    if (n >= REQUEST_MAX) fail("Request too long: %s", t->path);
    next_request++;
    c->target = t;
    c->request_size = (size_t)n;
    c->sent = c->received = c->header_size = 0;
    c->closing = 0;
    c->asked_ns = now_ns();
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

static void count(struct connection *c) {
    latencies_us = grown(latencies_us, answers, &capacity, sizeof *latencies_us);
    latencies_us[answers++] = (uint32_t)((now_ns() - c->asked_ns) / 1000);
    bytes += c->body_size;
    c->retries = 0;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static struct connection connections[CONNECTIONS_MAX];
    struct epoll_event events[64];
    struct rusage usage;
    if (argc != 7) fail("usage: load PORT CONNECTIONS SECONDS REQUESTS TARGETS CREDENTIALS");
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t connection_count = strtoul(argv[2], NULL, 10), open_requests = 0;
    if (!connection_count || connection_count > CONNECTIONS_MAX) fail("1 to %d connections.", CONNECTIONS_MAX);
    request_limit = strtoul(argv[4], NULL, 10);
    read_lists(argv[5], argv[6]);
    poller = epoll_create1(0);
    for (size_t i = 0; i < connection_count; i++) {
        connections[i].response = malloc(RESPONSE_MAX);
        if (!connections[i].response) fail("Out of memory.");
        dial(&connections[i]);
    }

    uint64_t start = now_ns(), deadline = start + (uint64_t)(atof(argv[3]) * 1e9), now = start;
    for (size_t i = 0; i < connection_count && (!request_limit || next_request < request_limit); i++, open_requests++)
        ask(&connections[i]);
    while (open_requests && now < deadline) {
        int ready = epoll_wait(poller, events, 64, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!pull(c)) continue;
            count(c);
            if (c->closing) redial(c);
            if (request_limit && next_request >= request_limit) open_requests--;
            else ask(c);
        }
        now = now_ns();
    }
    if (!answers) fail("No answer within %s s.", argv[3]);

    qsort(latencies_us, answers, sizeof *latencies_us, by_value);
    getrusage(RUSAGE_SELF, &usage);
    printf("answers %zu\nseconds %.6f\nbytes %llu\nreconnects %llu\np50_us %u\np99_us %u\nclient_cpu_s %.3f\n", answers,
           (double)(now - start) / 1e9, (unsigned long long)bytes, (unsigned long long)reconnects,
           latencies_us[answers / 2], latencies_us[answers * 99 / 100],
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    return 0;
}
