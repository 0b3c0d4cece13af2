import { Worker } from 'node:worker_threads';
import { RefusedText } from '../refusal.ts';

/** A text to parse; the thread answers each with the same `id`. */
export interface ParseCall {
  readonly id: number;
  readonly sql: string;
}

export interface ParseAnswer {
  readonly id: number;
  /** See `reduce.ts`. */
  readonly json?: string;
  readonly syntax?: { readonly message: string; readonly position: number | undefined };
  /** What the parser can't be asked again after. */
  readonly failure?: 'deep' | 'broken';
}

/**
 * Parses long and deep texts in a thread of its own: there it has a stack for the longest chains, and nobody waits but who sent such
 * a text. Starts with the first call; ends after a failure, since the parser may never return again, and after a long text, since
 * the parser's memory only grows.
 */
export function createParseThread(): ParseThread {
  let running: Running | undefined;
  let nextId = 0;
  const start = (): Running => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
      resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB },
    });
    const waiting: Running['waiting'] = new Map();
    const one: Running = { worker, waiting, isWorn: false };
    const end = () => {
      if (running === one) running = undefined;
      for (const { reject } of waiting.values()) reject(tooLong());
      waiting.clear();
    };
    worker.on('error', end).on('exit', end);
    worker.on('message', (answer: ParseAnswer) => {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.failure !== undefined) one.isWorn = true;
      if (waiting.size === 0) worker.unref();
      if (one.isWorn && running === one) running = undefined;
      if (one.isWorn && waiting.size === 0) void worker.terminate();
      call?.resolve(answer);
    });
    return one;
  };
  return {
    async parse(sql) {
      running ??= start();
      const one = running;
      if (sql.length > WORN_LENGTH) one.isWorn = true;
      const id = nextId++;
      const answer = await new Promise<ParseAnswer>((resolve, reject) => {
        one.waiting.set(id, { resolve, reject });
        one.worker.ref();
        one.worker.postMessage({ id, sql } satisfies ParseCall);
      });
      if (answer.json !== undefined) return answer.json;
      if (answer.failure === 'deep') throw tooDeep();
      if (answer.syntax === undefined)
        throw new RefusedText('statement-not-understood', 'the statement could not be parsed');
      const { message, position } = answer.syntax;
      if (message.startsWith('memory exhausted')) throw tooDeep();
      throw new RefusedText('syntax-error', message, position === undefined ? {} : { position });
    },
  };
}

export interface ParseThread {
  /** The parsed text as reduced JSON. @throws RefusedText */
  parse(sql: string): Promise<string>;
}

interface Running {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve: (answer: ParseAnswer) => void; reject: (error: unknown) => void }>;
  /** It takes no more calls than it has. */
  isWorn: boolean;
}

export function tooDeep(): RefusedText {
  return new RefusedText('text-too-deep', 'the statement nests too deeply to be understood', {
    hint: 'Put brackets around parts of it, or compute it in several statements.',
  });
}

function tooLong(): RefusedText {
  return new RefusedText('text-too-long', 'a statement of the text takes more memory to parse than the gateway has', {
    hint: 'Send it in parts, or bulk data by COPY.',
  });
}

/** Holds a chain of 15,000 operators in its 200 to 600 bytes a level of the parser, ten times over. */
const STACK_MB = 64;
/** The longest statement that the limits let through takes half of it as a tree. */
const HEAP_MB = 2_048;
const WORN_LENGTH = 1 << 20;
