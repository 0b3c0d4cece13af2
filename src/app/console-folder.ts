import { join } from 'node:path';

/** Where `npm run build` puts the console: beside the bundle, two folders away from this source. */
export const CONSOLE_FOLDER: string = import.meta.dirname.endsWith('dist')
  ? join(import.meta.dirname, 'console')
  : join(import.meta.dirname, '../../dist/console');
