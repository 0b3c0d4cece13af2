import { CSPProvider } from '@base-ui/react/csp-provider';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { createQueries } from '../api/index.ts';
import { shortcuts, ToastRegion } from '../ui/index.ts';
import { createConsoleRouter } from './router.tsx';

/** The whole console. */
export function App() {
  const [{ queries, router }] = useState(() => ({ queries: createQueries(), router: createConsoleRouter() }));
  useEffect(() => shortcuts.listen(), []);
  return (
    // The page's policy lets no style elements in; what they would say stands in styles.css.
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <ToastRegion />
      </QueryClientProvider>
    </CSPProvider>
  );
}
