import { type Clock, sleep, timeoutSignal } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import { RevocationError } from './errors.ts';
import type { RevocationTables, VerifierRow } from './migrations.ts';
import { readStanding, type Standing } from './rows.ts';
import type { KnownVerifiers, RevocationEffect, Revocations, StandingRevocation, VerifierEffect } from './types.ts';
import { BEAT_MS, TOPIC_ACKNOWLEDGED } from './verifiers.ts';

interface EffectDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly known: KnownVerifiers;
}

/** Creates what tells where a revocation is in effect. */
export function createEffect(deps: EffectDeps): Revocations['effect'] {
  const { store, clock } = deps;
  return async (id, { waitMs, signal }) => {
    let isNew = false;
    let wake = () => {};
    const told = () => {
      isNew = true;
      wake();
    };
    const unsubscribe = store.subscribe(TOPIC_ACKNOWLEDGED, told);
    const nodes = createNodesRead(deps);
    const time = timeoutSignal(clock, waitMs, signal);
    time.signal.addEventListener('abort', told, { once: true });
    try {
      for (let looks = 1; ; looks++) {
        isNew = false;
        const { effect, isOpen } = await look(deps, id, nodes);
        signal.throwIfAborted();
        if (!isOpen || time.isOver || waitMs === 0) return effect;
        // Each look reads all verifiers: what comes again and again is looked at together.
        if (looks >= LOOKS_AT_ONCE) await sleep(clock, LOOK_MS_MIN, time.signal).catch(() => {}); // It is looked at once more.
        if (isNew || time.isOver) continue;
        // A notification may be lost; and one that is away for too long is waited for no more.
        await new Promise<void>((resolve) => {
          const timer = clock.after(LOOK_MS, resolve);
          wake = () => {
            timer.cancel();
            resolve();
          };
        });
      }
    } finally {
      unsubscribe();
      time.signal.removeEventListener('abort', told);
      time.cancel();
    }
  };
}

/** Nodes come and go slowly, and there may be many: they are read once in a while, whatever is looked at in between. */
function createNodesRead({ known, clock }: Pick<EffectDeps, 'known' | 'clock'>): KnownVerifiers['nodes'] {
  let last: { readonly nodes: Awaited<ReturnType<KnownVerifiers['nodes']>>; readonly atMs: number } | undefined;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (last !== undefined && nowMs - last.atMs < LOOK_MS) return last.nodes;
    last = { nodes: await known.nodes(), atMs: nowMs };
    return last.nodes;
  };
}

/** How it is now, and whether somebody may still say so. */
async function look(
  deps: EffectDeps,
  id: string,
  readNodes: KnownVerifiers['nodes'],
): Promise<{ effect: RevocationEffect; isOpen: boolean }> {
  const { store, clock, known } = deps;
  const db = store.db<RevocationTables>();
  const standing = await readStanding(db);
  const revocation = standingOf(standing, id);
  const nowMs = await databaseMs(store, clock, db);
  const rows = await db.selectFrom('revocation_verifiers').selectAll().execute();
  const times = await db.selectFrom('revocation_effects').selectAll().where('revocation', '=', id).execute();
  const after = new Map(times.map((row) => [keyText(row), row.after_ms]));
  const there = { standing, revocation, nowMs };
  const seen = new Set<string>();
  let isOpen = false;
  const verifiers: VerifierEffect[] = [];
  // Whose sign-ins have ended in the store, has nothing at a verifier.
  if (revocation.subject.kind === 'person') return { effect: { revocation, verifiers }, isOpen };
  const nodes = new Map((await readNodes()).map((node) => [node.spiffeId, node.expiresAtS * 1000]));
  for (const row of rows) {
    seen.add(keyText(row));
    const effect = effectOf(row, { ...there, afterMs: after.get(keyText(row)), nodeEndsMs: nodes.get(row.spiffe_id) });
    if (effect === undefined) continue;
    verifiers.push(effect);
    if (effect.state === 'waiting' || (effect.state === 'unreachable' && nowMs - row.seen_ms < BACK_MS)) isOpen = true;
  }
  const unheard = [
    ...Array.from(nodes.keys(), (spiffeId) => ({ kind: 'agent' as const, spiffeId, address: '', instance: '' })),
    ...(await known.gateways()).map((gateway) => ({ ...gateway, kind: 'gateway' as const })),
  ];
  for (const one of unheard) {
    const { kind, spiffeId, address, instance } = one;
    if (seen.has(keyText({ kind, spiffe_id: spiffeId, address, instance }))) continue;
    const endsMs = earliest(lifeEndMs(revocation), nodes.get(spiffeId));
    verifiers.push({ kind, spiffeId, address, instance, state: 'unreachable', afterMs: undefined, endsMs });
  }
  return { effect: { revocation, verifiers: verifiers.toSorted(openFirst) }, isOpen };
}

/** @throws RevocationError ERR_REVOCATION_UNKNOWN */
export function standingOf({ state, latestExpiryMs }: Standing, id: string): StandingRevocation {
  const found = state.revocations.find((one) => one.id === id);
  if (found === undefined) throw new RevocationError('ERR_REVOCATION_UNKNOWN', `no revocation ${id} stands`);
  return { ...found, latestExpiryMs: latestExpiryMs.get(id) ?? 0 };
}

/** Undefined for one that is no verifier any more. */
function effectOf(
  row: VerifierRow,
  of: {
    readonly standing: Standing;
    readonly revocation: StandingRevocation;
    readonly nowMs: number;
    readonly afterMs: number | undefined;
    readonly nodeEndsMs: number | undefined;
  },
): VerifierEffect | undefined {
  const { standing, revocation, nowMs, afterMs, nodeEndsMs } = of;
  const { kind, spiffe_id: spiffeId, address, instance } = row;
  const verifier = { kind, spiffeId, address, instance };
  const sequence = standing.changedSequence.get(revocation.id) ?? revocation.sequence;
  if (row.incarnation === standing.state.incarnation && row.sequence >= sequence)
    return { ...verifier, state: 'in-effect', afterMs, endsMs: undefined };
  // Its server says every half a minute that it is there; one that has not for longer was killed, and may have told it until just before.
  const isThere = row.connected === 1 && nowMs - row.seen_ms < 2 * BEAT_MS;
  // A node that was removed, or whose SVID is over, gets nothing from anybody.
  if (!isThere && kind === 'agent' && nodeEndsMs === undefined) return undefined;
  const toldMs = isThere ? nowMs : row.seen_ms + (row.connected === 1 ? 2 * BEAT_MS : 0);
  const staleMs = row.then_refuses === 1 && row.fresh_for_ms > 0 ? toldMs + row.fresh_for_ms : undefined;
  if (!isThere && staleMs !== undefined && staleMs <= nowMs)
    return { ...verifier, state: 'refusing', afterMs: undefined, endsMs: undefined };
  const endsMs = earliest(staleMs, lifeEndMs(revocation));
  return { ...verifier, state: isThere ? 'waiting' : 'unreachable', afterMs: undefined, endsMs };
}

/** What is signed no more is over some time; a quarantine keeps nobody from being given new credentials. */
function lifeEndMs({ mode, latestExpiryMs }: StandingRevocation): number | undefined {
  return mode === 'revoked' ? latestExpiryMs : undefined;
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const given = times.filter((time) => time !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

function openFirst(one: VerifierEffect, other: VerifierEffect): number {
  if (RANK[one.state] !== RANK[other.state]) return RANK[one.state] - RANK[other.state];
  const [a, b] = [one, other].map(
    ({ kind, spiffeId, address, instance }) => `${kind} ${spiffeId} ${address} ${instance}`,
  );
  return `${a}` < `${b}` ? -1 : 1;
}

function keyText({
  kind,
  spiffe_id,
  address,
  instance,
}: Pick<VerifierRow, 'kind' | 'spiffe_id' | 'address' | 'instance'>) {
  return `${kind} ${spiffe_id} ${address} ${instance}`;
}

const RANK = { unreachable: 0, waiting: 1, refusing: 2, 'in-effect': 3 } as const;
const LOOK_MS = 1_000;
const LOOK_MS_MIN = 50;
const LOOKS_AT_ONCE = 10;
/** Who has lost its server is back at another one within it. */
const BACK_MS = 5_000;
