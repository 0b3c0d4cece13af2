/** A path of a document as a route of a target can have it. */
export interface Expressed {
  readonly path: string;
  /** False: a segment has more than a parameter, and the route takes any there. */
  readonly isExact: boolean;
}

/** What one segment of a path takes; `rest` takes all that follow. Literals are folded as those of routes are. */
export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter' }
  | { readonly kind: 'rest' };

/** A sentence when no route can have such a path. */
export function expressedPath(path: string): Expressed | string {
  if (!path.startsWith('/')) return 'its path does not begin with /';
  if (path.length > PATH_CHARS_MAX) return `its path is longer than the ${PATH_CHARS_MAX} characters of a route's`;
  if (/[?#]/.test(path)) return 'its path has a query or a fragment';
  const pieces = path.slice(1).split('/');
  // With and without a slash at its end a path is the same to routes.
  if (pieces.at(-1) === '') pieces.pop();
  if (pieces.includes('')) return 'its path has an empty segment';
  const names = new Set<string>();
  let isExact = true;
  const written = pieces.map((piece, index) => {
    if (!/[{}*]/.test(piece)) return piece;
    const [, inside = '', star = ''] = WHOLE.exec(piece) ?? [];
    const isRest = star !== '' && index === pieces.length - 1;
    if (inside === '' || (star !== '' && !isRest)) isExact = false;
    return `{${nameFor(inside === '' ? piece : inside, names)}${isRest ? '*' : ''}}`;
  });
  return { path: `/${written.join('/')}`, isExact };
}

/** The segments of a route's path. */
export function segmentsOf(path: string): readonly Segment[] {
  const pieces = path === '/' ? [] : path.slice(1).split('/');
  return pieces.map((piece): Segment => {
    if (/^\{.*\}$/.test(piece)) return { kind: piece.endsWith('*}') ? 'rest' : 'parameter' };
    return { kind: 'literal', text: folded(piece) };
  });
}

/** Equal for paths that take the same. */
export function formOf(segments: readonly Segment[]): string {
  return segments.map((segment) => (segment.kind === 'literal' ? `=${segment.text}` : segment.kind)).join('/');
}

/** Whether there is a path that both take. */
export function overlap(a: readonly Segment[], b: readonly Segment[]): boolean {
  for (let at = 0; ; at++) {
    const [one, other] = [a[at], b[at]];
    if (one?.kind === 'rest' || other?.kind === 'rest') return true;
    if (one === undefined || other === undefined) return one === other;
    if (one.kind === 'literal' && other.kind === 'literal' && one.text !== other.text) return false;
  }
}

/** Whether `a` takes whatever `b` takes. */
export function covers(a: readonly Segment[], b: readonly Segment[]): boolean {
  for (let at = 0; ; at++) {
    const [one, other] = [a[at], b[at]];
    if (one?.kind === 'rest') return true;
    if (one === undefined || other === undefined) return one === other;
    if (other.kind === 'rest') return false;
    if (one.kind === 'literal' && (other.kind !== 'literal' || one.text !== other.text)) return false;
  }
}

/** Whether of paths that both take, the route of `a` has those: a literal beats a parameter, and that a rest. */
export function isBefore(a: readonly Segment[], b: readonly Segment[]): boolean {
  for (let at = 0; ; at++) {
    const [one, other] = [rankOf(a[at]), rankOf(b[at])];
    if (one !== other) return one < other;
    if (a[at] === undefined || a[at]?.kind === 'rest') return false;
  }
}

/** A path that ends comes before one of which the rest is taken. */
function rankOf(segment: Segment | undefined): number {
  return segment === undefined ? 0 : RANKS.indexOf(segment.kind) + 1;
}

function nameFor(text: string, names: Set<string>): string {
  const inside = /\{([^{}]*)/.exec(text)?.[1] ?? text;
  const plain = inside
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .replace(/^[^A-Za-z_]+/, '')
    .slice(0, NAME_CHARS_MAX);
  const base = plain === '' ? 'part' : plain;
  let name = base;
  for (let count = 2; names.has(name); count++) name = `${base}_${count}`;
  names.add(name);
  return name;
}

function folded(piece: string): string {
  let text = piece;
  try {
    text = decodeURIComponent(piece);
  } catch {
    // It is no encoding then, and a target refuses such a path.
  }
  return text.normalize('NFKC').toLowerCase().normalize('NFKC');
}

const RANKS = ['literal', 'parameter', 'rest'] as const;
/** As config has it; and whatever is made of one segment after the other takes no time. */
const PATH_CHARS_MAX = 1024;
const WHOLE = /^\{([^{}*+]+)([*+]?)\}$/;
/** A number that tells two apart fits behind it. */
const NAME_CHARS_MAX = 56;
