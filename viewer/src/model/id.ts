/** Ids as the server makes them: 128 random bits in base32, 26 characters of `a-z2-7`. */

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const BITS_OF_A_LETTER = 5;

/** A new id; `bytes`: 16 random ones. */
export function newId(bytes: Uint8Array = crypto.getRandomValues(new Uint8Array(16))): string {
  let id = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= BITS_OF_A_LETTER) {
      bits -= BITS_OF_A_LETTER;
      id += LETTERS[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return id + LETTERS[(held << (BITS_OF_A_LETTER - bits)) & 31];
}

/** Draws the id of a thing to be sent: the same one for the same words, so that what is sent again, for want of an
 * answer, is told from something new. */
export class Sending {
  #words = "";
  #id = "";

  id(content: unknown): string {
    const words = JSON.stringify(content);
    if (words !== this.#words) {
      this.#words = words;
      this.#id = newId();
    }
    return this.#id;
  }
}
