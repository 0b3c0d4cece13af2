import type { Limits, ReachedLimit } from '../../../../model/index.ts';
import { createMessageEnds, type MessageEnds } from '../../../../wire/grpc/index.ts';
import {
  type BodyLength,
  encodeChunk,
  encodeLastChunk,
  encodeResponseHead,
  type Field,
  type ResponseHead,
} from '../../../../wire/http1/index.ts';
import { isGrpc } from '../meaning/index.ts';
import { type AnswerReading, fieldsBesideMasks, grpcStatusOf, isStream } from './masked-answer.ts';
import { brokenAnswer, limitAnswer, type OwnAnswer } from './refusals/own-answers.ts';
import { createScrubber, type Scrubber } from './scrub.ts';

/** How one answer is handed on. */
export interface AnswerDeps {
  readonly method: string;
  /** The client can take chunks. */
  readonly takesChunks: boolean;
  /** The connection ends behind it. */
  readonly closes: boolean;
  readonly limits: Limits;
  /** What must not be in it. */
  readonly forms: readonly Buffer[];
  /** By the target's config. */
  readonly fields: readonly Field[];
  /** Undefined: nothing in it is masked or counted. */
  readonly reading: AnswerReading | undefined;
  readonly isMasked: boolean;
}

/** What is to be shown now, or instead. */
export type Shown =
  | { readonly pieces: readonly Buffer[] }
  /** Nothing of it was shown: this is, in its place. */
  | { readonly instead: OwnAnswer; readonly limit?: ReachedLimit }
  /** Something was shown already, and the rest can't be: the connection has to be cut. */
  | { readonly cut: string; readonly limit?: ReachedLimit };

/**
 * One answer of an upstream on its way to the client: its head anew, its body without the gateway's credential and with masks, in the framing that the client
 * takes. Where something of it may have to be refused, nothing is shown until the end, or until it is too long to be held.
 */
export class Answer {
  readonly status: number;
  /** Where its head has it already: of a call of gRPC that has no other answer. */
  readonly grpcStatus: number | undefined;
  readonly #deps: AnswerDeps;
  readonly #body: BodyLength;
  readonly #head: Buffer;
  readonly #scrubber: Scrubber | undefined;
  readonly #ends: MessageEnds | undefined;
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #isHeadShown = false;
  /** Of its body, as the client gets it. */
  bytes = 0;

  constructor(head: ResponseHead, deps: AnswerDeps) {
    this.#deps = deps;
    this.status = head.status;
    this.grpcStatus = grpcStatusOf(head.fields);
    this.#body = framingOf(head, deps);
    const isCut = this.#body.kind === 'close' || deps.closes;
    this.#head = encodeResponseHead({
      status: head.status,
      fields: deps.isMasked ? fieldsBesideMasks(deps.fields) : deps.fields,
      body: this.#body,
      allowObsText: true,
      close: isCut,
      answersHead: deps.method === 'HEAD',
      // How long it is may tell what is masked in it.
      announcedBytes: deps.isMasked ? undefined : head.announcedBytes,
    });
    if (this.#body.kind !== 'none') this.#scrubber = deps.forms.length === 0 ? undefined : createScrubber(deps.forms);
    this.#ends = isGrpc(head.fields) ? createMessageEnds() : undefined;
    const { items, bytesOut } = deps.limits;
    const mayBeRefused = deps.reading !== undefined || items !== undefined || bytesOut !== undefined;
    const isHeld = mayBeRefused && this.#body.kind !== 'none' && !isStream(head);
    this.#held = isHeld ? [] : undefined;
  }

  get isMasked(): boolean {
    return this.#deps.isMasked;
  }

  /** The connection can't be used behind it. */
  get closes(): boolean {
    return this.#body.kind === 'close' || this.#deps.closes;
  }

  /** Whoever reads it takes it for whole when the connection ends. */
  get endsByClose(): boolean {
    return this.#body.kind === 'close';
  }

  /** Trailers can stand behind what was shown of it. */
  get takesTrailers(): boolean {
    return this.#isHeadShown && this.#body.kind === 'chunked';
  }

  /** Something of it was handed on. */
  get isShown(): boolean {
    return this.#isHeadShown;
  }

  get items(): number {
    return this.#deps.reading?.items ?? 1;
  }

  get heldBytes(): number {
    return this.#heldBytes + (this.#deps.reading?.heldBytes ?? 0);
  }

  /** Its head, where nothing has to be read before that can be shown: events hours apart must not hold it back. */
  start(): Shown {
    return this.#show(() => []);
  }

  push(chunk: Buffer): Shown {
    return this.#show(() => {
      const scrubbed = this.#scrubbed(chunk);
      const pieces = this.#deps.reading?.push(scrubbed) ?? [scrubbed];
      return this.#framed(pieces);
    });
  }

  /** @param trailers those that may be shown. */
  end(trailers: readonly Field[] = []): Shown {
    return this.#show(() => {
      const rest = this.#scrubber?.end();
      const last = rest === undefined || rest.length === 0 ? [] : [rest];
      const { reading } = this.#deps;
      const pieces = reading === undefined ? last : [...last.flatMap((piece) => reading.push(piece)), ...reading.end()];
      const framed = this.#framed(this.#body.kind === 'none' ? [] : pieces);
      return this.#body.kind === 'chunked' ? [...framed, encodeLastChunk(trailers)] : framed;
    }, true);
  }

  /** The end of a message waits for nothing: the next one may come after its client has answered, and no form goes over the zero between them. */
  #scrubbed(chunk: Buffer): Buffer {
    const scrubber = this.#scrubber;
    if (scrubber === undefined) return chunk;
    const bytes = scrubber.push(chunk);
    if (this.#ends?.push(chunk) !== true) return bytes;
    const rest = scrubber.end();
    return rest.length === 0 ? bytes : Buffer.concat([bytes, rest]);
  }

  #show(read: () => readonly Buffer[], isEnd = false): Shown {
    let pieces: readonly Buffer[];
    try {
      pieces = read();
    } catch {
      // What it stumbled over is the upstream's own text, which nobody else may see.
      return this.#refuse('the answer is no JSON that every reader reads alike, so nothing in it can be masked');
    }
    const limit = this.#reached();
    if (limit !== undefined)
      return this.#isHeadShown ? { cut: 'over-limit', limit } : { instead: limitAnswer(limit), limit };
    if (this.#held !== undefined) {
      for (const piece of pieces) {
        this.#held.push(piece);
        this.#heldBytes += piece.length;
      }
      if (!isEnd && this.#heldBytes < HELD_BYTES_MAX) return NOTHING;
      pieces = this.#held;
      this.#held = undefined;
      this.#heldBytes = 0;
    }
    if (this.#isHeadShown) return { pieces };
    this.#isHeadShown = true;
    return { pieces: [this.#head, ...pieces] };
  }

  #refuse(why: string): Shown {
    return this.#isHeadShown ? { cut: why } : { instead: brokenAnswer(why, MASKED_HINT) };
  }

  #reached(): ReachedLimit | undefined {
    const { items, bytesOut } = this.#deps.limits;
    const bytes = this.#body.kind === 'length' ? this.#body.bytes : this.bytes;
    if (bytesOut !== undefined && bytes > bytesOut) return { unit: 'bytesOut', most: bytesOut };
    if (items !== undefined && this.items > items) return { unit: 'items', most: items };
    return undefined;
  }

  #framed(pieces: readonly Buffer[]): readonly Buffer[] {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    this.bytes += bytes;
    if (this.#body.kind !== 'chunked') return pieces;
    // Masks make hundreds of pieces of a read: one chunk and a copy cost less than a chunk for each.
    const [first] = pieces;
    return encodeChunk(pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces, bytes));
  }
}

/** The framing towards the client: what is read anew has no length that is known before. */
function framingOf(head: ResponseHead, { method, reading, takesChunks }: AnswerDeps): BodyLength {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return NONE;
  if (head.body.kind === 'none') return { kind: 'length', bytes: 0 };
  if (head.body.kind === 'length' && reading === undefined) return head.body;
  return takesChunks ? { kind: 'chunked' } : { kind: 'close' };
}

const NONE: BodyLength = { kind: 'none' };
const NOTHING: Shown = { pieces: [] };
/** So much of an answer is read before the first byte of it is shown, where that may have to be taken back. */
const HELD_BYTES_MAX = 64 * 1024;
const MASKED_HINT =
  'The upstream’s operator has to see to it that this route answers JSON in UTF-8; or a policy permits it without masks.';
