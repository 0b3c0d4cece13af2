import { constants } from 'node:fs';
import { mkdir, open, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../private-files/index.ts';
import { codeOf, type Random } from '../std/index.ts';
import { encodePem } from '../wire/x509/index.ts';
import { WorkloadIdentityError } from './errors.ts';
import type { OwnIdentity } from './parse-response.ts';

/**
 * Writes `svid.pem` (chain, leaf first), `key.pem` (PKCS#8, mode 0600) and `bundle.pem` (roots of the own trust domain) into `dir`,
 * which is made with mode 0700 when missing; with `pk8` also `key.pk8`, the key in DER. They are links through one link, `.current`, to a folder that holds a set written and
 * synced before: one rename changes all of them, so a path never shows half a file or an old key beside a new certificate. The set before
 * is kept until the next write, for a reader that has begun with it.
 * @throws WorkloadIdentityError ERR_SVID_FILES
 */
export async function writeSvidFiles(
  dir: string,
  identity: Pick<OwnIdentity, 'id' | 'chainDer' | 'keyDer' | 'bundles'>,
  options: { readonly random: Random; readonly pk8?: boolean },
): Promise<void> {
  await openFolder(dir);
  const tag = options.random.bytes(8).toString('hex');
  const set = `${SET_PREFIX}${tag}`;
  const before = await linkTarget(join(dir, CURRENT));
  await mkdir(join(dir, set), { mode: 0o700 });
  const roots = identity.bundles.get(identity.id.trustDomain) ?? [];
  const files = {
    'svid.pem': { content: pemOf('CERTIFICATE', identity.chainDer), mode: 0o644 },
    'key.pem': { content: pemOf('PRIVATE KEY', [identity.keyDer]), mode: 0o600 },
    ...(options.pk8 === true ? { 'key.pk8': { content: identity.keyDer, mode: 0o600 } } : {}),
    'bundle.pem': {
      content: pemOf(
        'CERTIFICATE',
        roots.map((root) => root.der),
      ),
      mode: 0o644,
    },
  };
  for (const [name, { content, mode }] of Object.entries(files)) await writeSynced(join(dir, set, name), content, mode);
  await syncFolder(join(dir, set));
  await replaceLink(dir, { name: CURRENT, target: set, tag });
  for (const name of Object.keys(files)) {
    const target = `${CURRENT}/${name}`;
    if ((await linkTarget(join(dir, name))) !== target) await replaceLink(dir, { name, target, tag });
  }
  await syncFolder(dir);
  for (const name of await readdir(dir)) {
    if (name.startsWith(SET_PREFIX) && name !== set && name !== before) await rm(join(dir, name), { recursive: true });
  }
}

async function openFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { mode, uid } = await stat(dir);
  const ours = uid === process.getuid?.() || uid === 0;
  if (ours && (mode & 0o022) === 0) return;
  throw new WorkloadIdentityError('ERR_SVID_FILES', `others can write to ${dir}, so a key would not be safe there`);
}

async function writeSynced(path: string, content: string | Buffer, mode: number): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    await file.chmod(mode); // The umask may have taken bits away.
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function replaceLink(dir: string, link: { name: string; target: string; tag: string }): Promise<void> {
  const temporary = join(dir, `.link-${link.tag}`);
  await symlink(link.target, temporary);
  try {
    await rename(temporary, join(dir, link.name));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new WorkloadIdentityError('ERR_SVID_FILES', `${link.name} in ${dir} can not be replaced`, { cause });
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'EINVAL') return undefined; // Missing, or a plain file: it is replaced.
    throw new WorkloadIdentityError('ERR_SVID_FILES', `${path} can not be read`, { cause: error });
  }
}

function pemOf(label: string, ders: readonly Buffer[]): string {
  return ders.map((der) => encodePem(label, der)).join('');
}

const CURRENT = '.current';
const SET_PREFIX = '.set-';
