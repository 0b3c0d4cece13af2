import {
  type ApiCallOptions,
  ApiProblem,
  type CallName,
  type Operations,
  type PagedName,
} from '@countersign/sdk/browser';
import {
  MutationCache,
  QueryCache,
  QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { api, isSignedOut, leaveForSignIn } from './client.ts';
import { mayPass } from './problem.ts';

export type Input<Name extends keyof Operations> = Operations[Name]['input'];
export type Output<Name extends CallName> = Operations[Name]['output'];
/** One of what a page lists. */
export type Item<Name extends PagedName> = Operations[Name]['output']['items'][number];

/** Creates the memory of what was asked. Whoever is not signed in any more is led to where they can, wherever that is noticed. */
export function createQueries(): QueryClient {
  const onError = (error: unknown) => {
    if (isSignedOut(error)) leaveForSignIn();
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: FRESH_MS,
        retry: (times, error) => times < 2 && mayPass(error),
        retryDelay: (times, error) =>
          (error instanceof ApiProblem && error.retryAfterS !== undefined ? error.retryAfterS * 1000 : 0) ||
          1000 * 2 ** times,
      },
    },
  });
}

/** Under what an answer is remembered. */
export function keyOf<Name extends CallName>(name: Name, input: Input<Name>): readonly [Name, Input<Name>] {
  return [name, input];
}

/** Asks, and keeps the answer fresh while it is shown. `everyMs`: asks again so often; what is live has `useLive` instead. */
export function useCall<Name extends CallName>(
  name: Name,
  input: Input<Name>,
  options: { readonly enabled?: boolean; readonly everyMs?: number; readonly staleMs?: number } = {},
) {
  return useQuery({
    queryKey: keyOf(name, input),
    queryFn: async ({ signal }) => (await api.call(name, input, { signal })).output,
    enabled: options.enabled ?? true,
    ...(options.everyMs === undefined ? {} : { refetchInterval: options.everyMs }),
    ...(options.staleMs === undefined ? {} : { staleTime: options.staleMs }),
  });
}

/** Asks page by page, as far as somebody reads. */
export function usePages<Name extends PagedName>(name: Name, input: Input<Name>) {
  return useInfiniteQuery({
    queryKey: [name, 'pages', input],
    initialPageParam: undefined as string | undefined, // The first page has no cursor.
    queryFn: async ({ pageParam, signal }) => {
      const asked = pageParam === undefined ? input : { ...input, cursor: pageParam };
      const { output } = await api.call(name, asked, { signal });
      return output as { readonly items: readonly Item<Name>[]; readonly next?: string }; // As every page is.
    },
    getNextPageParam: ({ next }) => next,
    // Pages that were read stay as they were: a list does not move under whoever reads it.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Does something, once: sent again by the browser it is told what it was told. `refresh`: what has to be asked anew after it. */
export function useAct<Name extends CallName>(name: Name, refresh: readonly CallName[] = []) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ input, ...options }: { input: Input<Name> } & Pick<ApiCallOptions, 'ifMatch'>) =>
      (await api.call(name, input, { ...options, idempotencyKey: crypto.randomUUID() })).output,
    onSettled: () => Promise.all(refresh.map((one) => queries.invalidateQueries({ queryKey: [one] }))),
  });
}

const FRESH_MS = 5000;
