import * as path from 'node:path';
import type { Stack } from '../../test/support/stack.ts';

/** Fetches an SVID of that user's once; PEM files in a folder of that name, which the user owns. */
export async function fetchSvid(
  stack: Stack,
  name: string,
  user: number | undefined,
): Promise<{ readonly cert: string; readonly key: string; readonly roots: string }> {
  const dir = stack.folder.privateFolder(name, user);
  const { code, stderr } = await stack.cli(['svid', 'fetch', '--dir', dir], { user });
  if (code !== 0) throw new Error(`svid fetch ended with ${code}: ${stderr}`);
  return { cert: path.join(dir, 'svid.pem'), key: path.join(dir, 'key.pem'), roots: path.join(dir, 'bundle.pem') };
}
