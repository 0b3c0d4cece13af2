import type { Input, Output } from '../../api/index.ts';
import type { Filters } from '../../page/index.ts';

export type Session = Output<'session.list'>['sessions'][number];
/** What the server asks of sessions; the list and its events go by the same. */
export type SessionQuestion = Input<'session.list'>;

/** Ids are unique among those of one gateway. */
export function keyOfSession({ gatewayAddress, id }: Pick<Session, 'gatewayAddress' | 'id'>): string {
  return `${gatewayAddress} ${id}`;
}

/** What is asked by the filters of the page; `wrong`: which of them the server would not take. */
export function questionOf(filters: Filters): {
  readonly question: SessionQuestion;
  readonly wrong: string | undefined;
} {
  const { identity, target, node, gateway, olderThan } = filters;
  const seconds = olderThan === undefined ? undefined : secondsOf(olderThan);
  const question: SessionQuestion = {
    limit: LISTED_MAX,
    ...(identity === undefined ? {} : { identity }),
    ...(target === undefined ? {} : { target }),
    ...(node === undefined ? {} : { node }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(seconds === undefined ? {} : { olderThanSeconds: seconds }),
  };
  const wrong =
    olderThan !== undefined && seconds === undefined ? `“${olderThan}” is no age: write 90s, 15m, 2h or 1d` : undefined;
  return { question, wrong };
}

/** What it does: as policies name it, and the digest that operations of one shape have in common. */
export function doingText({ action, shape }: NonNullable<Session['current']>): string {
  return shape === '' ? action : `${action} · shape ${shape}`;
}

/** What ending these ends: counted by what people know, before it is done. */
export function blastOf(sessions: readonly Session[]) {
  return {
    sessions: sessions.length,
    identities: tally(sessions, ({ identity }) => identity),
    targets: tally(sessions, ({ target }) => target),
    nodes: tally(sessions, ({ node }) => node ?? 'without an agent'),
    gateways: tally(sessions, ({ gatewayAddress }) => gatewayAddress),
    /** What is in the middle of something: it is cut off. */
    busy: sessions.filter(({ current }) => current !== undefined),
  };
}

/** How often each is there, the most first. */
function tally(
  sessions: readonly Session[],
  of: (session: Session) => string,
): readonly (readonly [name: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const session of sessions) counts.set(of(session), (counts.get(of(session)) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1]);
}

/** `15m` → 900. */
function secondsOf(text: string): number | undefined {
  const [, count, unit = 's'] = /^(\d{1,9})\s*([smhd]?)$/.exec(text.trim()) ?? [];
  if (count === undefined) return undefined;
  const seconds = Number(count) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit] ?? 1);
  return seconds <= 1_000_000_000 ? seconds : undefined;
}

/** As many as a server lists, and ends at once. */
const LISTED_MAX = 1000;
