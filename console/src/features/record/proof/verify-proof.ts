/**
 * Verifies that an entry stands in its log, in this browser: by what was handed out, a key, and WebCrypto; no server is asked. The same as
 * `countersign ledger verify --proof` does. @see C2SP tlog-proof, tlog-checkpoint, signed-note, tlog-cosignature; RFC 9162 §2.1.3.2
 */

/** As `record.prove` hands it out. */
export interface ProofFile {
  readonly format: string;
  /** The entry's bytes as UTF-8. */
  readonly entry: string;
  readonly proof: string;
}

/** What was found. Each step that holds stands in `steps`; at the first that does not, it ends. */
export type ProofVerdict =
  | { readonly ok: true; readonly steps: readonly string[]; readonly size: number; readonly index: number }
  | { readonly ok: false; readonly steps: readonly string[]; readonly why: string };

/** Verifies it for the log with that key, `name+id+base64` as `countersign record logs --json` shows it. */
export async function verifyProof(
  file: ProofFile,
  { verifierKey, witnessKeys }: { readonly verifierKey: string; readonly witnessKeys: readonly string[] },
): Promise<ProofVerdict> {
  const steps: string[] = [];
  try {
    if (file.format !== 'countersign-ledger-proof/1') throw new Error(`the proof is of another format, ${file.format}`);
    const { index, path, checkpoint } = parseInclusion(file.proof);
    const note = parseNote(checkpoint);
    const { origin, size, root } = parseCheckpoint(note.text);
    const key = await parseKey(verifierKey, 1);
    if (key.name !== origin) throw new Error(`the checkpoint is of the log ${origin}, the key of ${key.name}`);
    await verifySignature(note, key);
    steps.push(`The log ${origin} has signed its tree of ${size} entries.`);
    for (const witness of witnessKeys) {
      const timeS = await verifyCosignature(note, await parseKey(witness, 4));
      if (timeS !== undefined)
        steps.push(`A server has countersigned that tree at ${new Date(timeS * 1000).toISOString()}.`);
    }
    const leaf = await sha256(new Uint8Array([0]), new TextEncoder().encode(file.entry));
    await verifyInclusion({ index, leaf, size, root, path });
    steps.push(`These very bytes are entry ${index} of it: ${path.length} hashes lead from them to its root.`);
    return { ok: true, steps, size, index };
  } catch (error) {
    return { ok: false, steps, why: error instanceof Error ? error.message : String(error) };
  }
}

interface Note {
  readonly text: string;
  readonly signatures: readonly { readonly name: string; readonly id: number; readonly bytes: Bytes }[];
}

interface Key {
  readonly name: string;
  readonly id: number;
  readonly publicKey: CryptoKey;
}

type Bytes = Uint8Array<ArrayBuffer>;

function parseInclusion(text: string): { index: number; path: readonly Bytes[]; checkpoint: string } {
  const split = text.indexOf('\n\n');
  const lines = split < 0 ? [] : text.slice(0, split).split('\n');
  if (lines.shift() !== 'c2sp.org/tlog-proof@v1') throw new Error('it is no C2SP tlog-proof');
  if (lines[0]?.startsWith('extra ') === true) lines.shift();
  const index = Number(/^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? '')?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(index)) throw new Error('the proof names no index');
  if (lines.length > 53) throw new Error('the path is longer than any');
  return { index, path: lines.map((line) => bytesOf(line, 32)), checkpoint: text.slice(split + 2) };
}

function parseNote(note: string): Note {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n') || note.length > 256 * 1024) throw new Error('the checkpoint is not signed');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > 32) throw new Error('the checkpoint has more signatures than any');
  return {
    text: note.slice(0, split + 1),
    signatures: lines.map((line) => {
      const [, name, encoded] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
      const bytes = bytesOf(encoded ?? '');
      if (name === undefined || bytes.length < 5) throw new Error('a signature of the checkpoint is malformed');
      return { name, id: new DataView(bytes.buffer).getUint32(0), bytes: bytes.slice(4) };
    }),
  };
}

function parseCheckpoint(text: string): { origin: string; size: number; root: Bytes } {
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (origin === '' || !/^(0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw new Error('the checkpoint is malformed');
  return { origin, size: Number(size), root: bytesOf(root, 32) };
}

/** `type`: 1 of a log, 4 of a witness. */
async function parseKey(text: string, type: number): Promise<Key> {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text.trim()) ?? [];
  const bytes = bytesOf(encoded, 33);
  const raw = bytes.slice(1);
  const hash = await sha256(new TextEncoder().encode(`${name}\n`), bytes);
  const own = new DataView(hash.buffer).getUint32(0);
  if (bytes[0] !== type || own !== Number.parseInt(id, 16))
    throw new Error('the key is none of such a log: its parts do not belong together');
  try {
    return { name, id: own, publicKey: await crypto.subtle.importKey('raw', raw, 'Ed25519', false, ['verify']) };
  } catch (cause) {
    throw new Error('this browser can not verify Ed25519; take the proof file to countersign ledger verify --proof', {
      cause,
    });
  }
}

/** One signature of that key at least, and none of it wrong. */
async function verifySignature({ text, signatures }: Note, { name, id, publicKey }: Key): Promise<void> {
  const own = signatures.filter((one) => one.name === name && one.id === id);
  if (own.length === 0) throw new Error(`the checkpoint is not signed by ${name}`);
  for (const { bytes } of own)
    if (!(await crypto.subtle.verify('Ed25519', publicKey, bytes, new TextEncoder().encode(text))))
      throw new Error(`the signature of ${name} is wrong`);
}

/** When that witness has signed it, epoch seconds; undefined: it has not. */
async function verifyCosignature(
  { text, signatures }: Note,
  { name, id, publicKey }: Key,
): Promise<number | undefined> {
  let newest: number | undefined;
  for (const { bytes } of signatures.filter((one) => one.name === name && one.id === id)) {
    const timeS = bytes.length === 72 ? Number(new DataView(bytes.buffer).getBigUint64(0)) : Number.NaN;
    const signed = new TextEncoder().encode(`cosignature/v1\ntime ${timeS}\n${text}`);
    if (!Number.isSafeInteger(timeS) || !(await crypto.subtle.verify('Ed25519', publicKey, bytes.slice(8), signed)))
      throw new Error(`the countersignature of ${name} is wrong`);
    newest = Math.max(newest ?? 0, timeS);
  }
  return newest;
}

async function verifyInclusion({
  index,
  leaf,
  size,
  root,
  path,
}: {
  index: number;
  leaf: Bytes;
  size: number;
  root: Bytes;
  path: readonly Bytes[];
}): Promise<void> {
  if (index >= size) throw new Error(`entry ${index} is not in a tree of ${size}`);
  let place = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0) throw new Error('the path is longer than the tree is high');
    if (place % 2 === 1 || place === last) {
      hash = await sha256(new Uint8Array([1]), sibling, hash);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else hash = await sha256(new Uint8Array([1]), hash, sibling);
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error('the path is shorter than the tree is high');
  if (hash.some((byte, at) => byte !== root[at]))
    throw new Error('the path does not lead to the root that was signed: these are not the bytes of that entry');
}

async function sha256(...parts: readonly Bytes[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob([...parts]).arrayBuffer()));
}

/** Standard base64 in its one spelling. */
function bytesOf(text: string, length?: number): Bytes {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new Error('a part of it is not base64', { cause });
  }
  if (btoa(binary) !== text || (length !== undefined && binary.length !== length))
    throw new Error('a part of it is not as long as it has to be');
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
