/**
 * What two agents on one data folder say to each other, an object of JSON a line. The one that runs says `hello`; a successor says what it
 * wants; then `paused`, `ready`, `go`, `taken`, in turn. Whoever can't go on says so, and why. The fields of `hello` and `want` stay in all versions.
 */
export type Message =
  | ({ readonly say: 'hello' } & Speaker)
  | ({ readonly say: 'want'; readonly trustDomain: string } & Speaker)
  /** It writes nothing more. `isReady`: workloads can be served; `doors`: the paths that it listens on. */
  | { readonly say: 'paused'; readonly isReady: boolean; readonly doors: readonly string[] }
  | { readonly say: 'ready' | 'go' | 'taken' }
  | { readonly say: 'refused' | 'failed'; readonly why: string };

interface Speaker {
  readonly version: number;
  readonly pid: number;
  readonly release: string;
}

export const HANDOVER_VERSION = 1;

export function encodeMessage(message: Message): string {
  return `${JSON.stringify(message)}\n`;
}

/** Reads one line; undefined when it is no message. Of a `hello` or `want` of another version nothing but the version counts. */
export function parseMessage(line: string): Message | undefined {
  const fields = parseObject(line);
  if (fields === undefined) return undefined;
  const { say } = fields;
  switch (say) {
    case 'hello':
    case 'want': {
      const { version, pid, release, trustDomain = '' } = fields;
      if (typeof version !== 'number' || typeof pid !== 'number') return undefined;
      if (typeof release !== 'string' || typeof trustDomain !== 'string') return undefined;
      const one = { version, pid, release: shown(release) };
      return say === 'hello' ? { say, ...one } : { say, ...one, trustDomain };
    }
    case 'paused': {
      const { isReady, doors } = fields;
      if (typeof isReady !== 'boolean' || !Array.isArray(doors)) return undefined;
      return { say, isReady, doors: doors.filter((path) => typeof path === 'string') };
    }
    case 'ready':
    case 'go':
    case 'taken':
      return { say };
    case 'refused':
    case 'failed':
      return typeof fields['why'] === 'string' ? { say, why: shown(fields['why']) } : undefined;
    default:
      return undefined;
  }
}

function parseObject(line: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** It goes into logs and messages. */
function shown(text: string): string {
  return text.slice(0, TEXT_MAX).replaceAll(/\p{Cc}/gu, ' ');
}

const TEXT_MAX = 1024;
