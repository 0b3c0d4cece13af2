import { createHash } from 'node:crypto';

/** What a route is named by. */
export interface Named {
  readonly method: string;
  readonly path: string;
  /** What the document calls its one operation. */
  readonly id: string | undefined;
}

/**
 * Names for routes, none of them in `taken`, whatever the order in which they come: that of the operation where no other wants it too, else one of
 * method and path, else with a digest of these behind it.
 */
export function chooseNames<T extends Named>(routes: readonly T[], taken: ReadonlySet<string>): ReadonlyMap<T, string> {
  const chosen = new Map<T, string>();
  const used = new Set(taken);
  for (const wish of [(route: T) => kebab(route.id ?? ''), byPath, byDigest]) {
    const wishes = new Map<string, T[]>();
    for (const route of routes) {
      if (chosen.has(route)) continue;
      const name = wish(route);
      wishes.set(name, [...(wishes.get(name) ?? []), route]);
    }
    for (const [name, [route, ...others]] of wishes) {
      if (name === '' || route === undefined || others.length > 0 || used.has(name)) continue;
      chosen.set(route, name);
      used.add(name);
    }
  }
  return chosen;
}

/** `list-pets` of `listPets`; empty when nothing is left. */
export function kebab(text: string): string {
  const words = text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .toLowerCase();
  return words.replace(/^-+/, '').slice(0, NAME_CHARS_MAX).replace(/-+$/, '');
}

function byPath({ method, path }: Named): string {
  return kebab(`${method.toLowerCase()} ${path === '/' ? 'root' : path}`);
}

function byDigest(route: Named): string {
  const digest = createHash('sha256').update(`${route.method} ${route.path}`).digest('hex').slice(0, DIGEST_CHARS);
  return `${byPath(route)
    .slice(0, NAME_CHARS_MAX - DIGEST_CHARS - 1)
    .replace(/-+$/, '')}-${digest}`;
}

/** As config has it. */
const NAME_CHARS_MAX = 63;
/** 48 bits: among a thousand no two alike. */
const DIGEST_CHARS = 12;
