import { useQueryClient } from '@tanstack/react-query';
import { keyOf, type LiveState, useCall, useLive } from '../../api/index.ts';
import type { SessionQuestion } from './session.ts';

/** The sessions that run, as they are at any moment. */
export function useSessions(question: SessionQuestion, enabled = true) {
  const queries = useQueryClient();
  const list = useCall('session.list', question, { enabled });
  const live = useLive('session.follow', question, {
    enabled,
    // Each event is all of it.
    onEvent: (event) => queries.setQueryData(keyOf('session.list', question), event),
  });
  const state: LiveState = live.state;
  return {
    data: list.data,
    error: list.error ?? live.problem,
    isPending: list.isPending,
    refetch: list.refetch,
    state,
  };
}
