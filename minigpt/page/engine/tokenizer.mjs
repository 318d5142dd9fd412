// The bundled tokenizer: a byte-level BPE, as in tokenizer.json. The same ids as those of `tokenizers`.

// How GPT-2 splits a text before merging; White_Space is what the other side takes \s for.
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Each byte as a printable character: itself where it is one, else one from 256 on. */
function byteCharacters() {
  let next = 256;
  const printable = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

export class Tokenizer {
  /** file: tokenizer.json, parsed. */
  constructor({ model, added_tokens }) {
    this.characters = byteCharacters();
    this.bytes = new Map(this.characters.map((character, byte) => [character, byte]));
    this.ids = new Map(Object.entries(model.vocab));
    this.ranks = new Map(model.merges.map((pair, rank) => [pair.join(" "), rank]));
    this.added = new Map(added_tokens.map(({ content, id }) => [content, id]));
    this.tokens = [];
    for (const [token, id] of [...this.ids, ...this.added]) this.tokens[id] = token;
    const longestFirst = [...this.added.keys()].sort((a, b) => b.length - a.length).map(escaped);
    this.split = new RegExp(`(${longestFirst.join("|")})`);
  }

  /** Text -> ids. */
  encode(text) {
    return text.split(this.split).flatMap((part) => {
      const id = this.added.get(part);
      return id === undefined ? (part.match(WORDS) ?? []).flatMap((word) => this.merge(word)) : [id];
    });
  }

  /** A word's bytes, merged pair by pair: of all pairs that stand side by side, always the first of the file. */
  merge(word) {
    const parts = Array.from(new TextEncoder().encode(word), (byte) => this.characters[byte]);
    while (parts.length > 1) {
      let best = Infinity, at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) break;
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    return parts.map((part) => this.ids.get(part));
  }

  /** The bytes of a token: those of its characters; of an added one with others in it, as it is written. */
  bytesOf(id) {
    const bytes = Array.from(this.tokens[id], (character) => this.bytes.get(character));
    return bytes.includes(undefined) ? new TextEncoder().encode(this.tokens[id]) : Uint8Array.from(bytes);
  }

  /** A token by itself, as it can be shown: bytes that are no whole character as <F0>. */
  nameOf(id) {
    const bytes = this.bytesOf(id);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return Array.from(bytes, (byte) => `<${byte.toString(16).toUpperCase().padStart(2, "0")}>`).join("");
    }
  }

  /** The tokens of a text: of each its id, its name, and the text that it completes. */
  tokensOf(text) {
    const write = this.stream();
    return this.encode(text).map((id) => ({ id, name: this.nameOf(id), text: write(id) }));
  }

  /** Ids -> text. */
  decode(ids) {
    const write = this.stream();
    return ids.map(write).join("") + write(null);
  }

  /** A function from each next id to its text. A character of several tokens comes with the last of them; null ends. */
  stream() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => (id === null ? decoder.decode() : decoder.decode(this.bytesOf(id), { stream: true }));
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
