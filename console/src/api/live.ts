import type { FollowName, Operations } from '@countersign/sdk/browser';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { api, isSignedOut, leaveForSignIn } from './client.ts';
import { mayPass } from './problem.ts';

/** `paused`: nobody looks. `lost`: it is tried again by itself, unless there is a `problem` that will not pass. */
export type LiveState = 'off' | 'connecting' | 'live' | 'paused' | 'lost';

/**
 * Follows what happens while the page is looked at: a browser has few connections to a server, and each stream takes one. After a pause or a loss it goes
 * on behind the last event, so that nothing is left out.
 */
export function useLive<Name extends FollowName>(
  name: Name,
  input: Operations[Name]['input'],
  { enabled = true, onEvent }: { enabled?: boolean; onEvent: (event: Operations[Name]['event']) => void },
): { readonly state: LiveState; readonly problem: unknown } {
  const [state, setState] = useState<LiveState>('connecting');
  const [problem, setProblem] = useState<unknown>();
  const isSeen = useSyncExternalStore(onVisibility, () => document.visibilityState === 'visible');
  const told = useRef(onEvent);
  useEffect(() => {
    told.current = onEvent;
  });
  const key = JSON.stringify(input);
  const place = useRef<{ readonly of: string; lastEventId: string | undefined }>({ of: '', lastEventId: undefined });
  useEffect(() => {
    if (!enabled || !isSeen) return;
    const ending = new AbortController();
    const of = `${name} ${key}`;
    if (place.current.of !== of) place.current = { of, lastEventId: undefined };
    const at = place.current;
    setProblem(undefined);
    setState('connecting');
    void follow(
      name,
      // What `key` was made of.
      JSON.parse(key) as Operations[Name]['input'],
      {
        ...{ at, signal: ending.signal, setState, setProblem },
        onEvent: (event) => told.current(event),
      },
    );
    return () => ending.abort();
  }, [name, key, enabled, isSeen]);
  return { state: enabled ? (isSeen ? state : 'paused') : 'off', problem };
}

async function follow<Name extends FollowName>(
  name: Name,
  input: Operations[Name]['input'],
  given: {
    readonly at: { lastEventId: string | undefined };
    readonly signal: AbortSignal;
    readonly setState: (state: LiveState) => void;
    readonly setProblem: (problem: unknown) => void;
    readonly onEvent: (event: Operations[Name]['event']) => void;
  },
): Promise<void> {
  const { at, signal, setState, setProblem, onEvent } = given;
  for (let times = 0; !signal.aborted; times++) {
    try {
      const onOpen = () => {
        times = 0;
        setState('live');
        setProblem(undefined);
      };
      const onStanding = (id: string) => {
        at.lastEventId = id;
      };
      const { lastEventId } = at;
      for await (const { id, event } of api.follow(name, input, { signal, lastEventId, onOpen, onStanding })) {
        if (signal.aborted) return;
        onEvent(event);
        at.lastEventId = id;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isSignedOut(error)) return leaveForSignIn();
      setProblem(error);
      setState('lost');
      if (!mayPass(error)) return;
    }
    if (signal.aborted) return;
    setState('lost');
    await pause(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** times), signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function onVisibility(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener);
  return () => document.removeEventListener('visibilitychange', listener);
}

const PAUSE_MS = 1000;
const PAUSE_MS_MAX = 15_000;
