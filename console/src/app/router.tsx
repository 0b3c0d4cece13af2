import {
  createRootRoute,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  lazyRouteComponent,
} from '@tanstack/react-router';
import { problemOf } from '../api/index.ts';
import { readFilters } from '../page/index.ts';
import { EmptyState, ErrorPanel, Loading, PageFrame } from '../ui/index.ts';
import { pages } from './pages.ts';
import { Shell } from './shell.tsx';

/** Creates the router of all pages. An address says everything that a page shows. */
export function createConsoleRouter() {
  const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Failed });
  const routes = pages.map(({ path, filters = [], load }) =>
    createRoute({
      getParentRoute: () => root,
      path,
      validateSearch: (search: Record<string, unknown>) => readFilters(filters, search),
      component: lazyRouteComponent(load, 'Page'),
      errorComponent: Failed,
      pendingComponent: Pending,
    }),
  );
  return createRouter({
    routeTree: root.addChildren(routes),
    basepath: '/console',
    // Texts as they are: what is read is what was written, and the server takes the address for a place of the console.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const text = new URLSearchParams(
        Object.entries(search).flatMap(([name, value]) =>
          typeof value === 'string' && value !== '' ? [[name, value]] : [],
        ),
      ).toString();
      return text === '' ? '' : `?${text}`;
    },
    defaultPreload: 'intent',
    defaultPendingMs: 200,
  });
}

/** A page that fails takes no other with it. */
function Failed({ error, reset }: ErrorComponentProps) {
  return (
    <PageFrame title="That did not work">
      <ErrorPanel problem={problemOf(error)} onRetry={reset} />
    </PageFrame>
  );
}

function Pending() {
  return (
    <PageFrame title="Loading">
      <Loading />
    </PageFrame>
  );
}

function NotFound() {
  return (
    <PageFrame title="Nothing is here">
      <EmptyState title="This address is no page of the console.">
        Press Ctrl+K, or ⌘K, and type what you look for.
      </EmptyState>
    </PageFrame>
  );
}
