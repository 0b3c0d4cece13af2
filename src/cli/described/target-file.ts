import { isUtf8 } from 'node:buffer';
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Value } from 'typebox/value';
import type { WrittenRoute } from '../../api-documents/index.ts';
import { declaredKinds } from '../../app/declared-kinds.ts';
import { parseDeclared } from '../../config/index.ts';
import { codeOf } from '../../std/index.ts';
import { UsageError } from '../command.ts';
import { readNamedFile } from '../declared/named-file.ts';
import { HttpSpec } from './http-spec.ts';

/** An HTTP target in a file of resources. */
export interface TargetInFile {
  readonly text: string;
  /** Which document of the file it is. */
  readonly index: number;
  readonly name: string;
  readonly urls: readonly string[];
  readonly routes: readonly WrittenRoute[];
  /** Requests that no route takes are refused. */
  readonly refusesUnlisted: boolean;
}

/** The HTTP target of that name; without a name the only one. @throws UsageError */
export function targetIn(file: string, name: string | undefined): TargetInFile {
  if (!statSync(file, { throwIfNoEntry: false })) throw new UsageError(`there is no ${file}`);
  const bytes = readFileSync(file);
  // What can't be read as text would be written as something else.
  if (!isUtf8(bytes)) throw new UsageError(`${file} is no text in UTF-8; convert it first, as with iconv`);
  const text = bytes.toString('utf8');
  const declared = readNamedFile(() => parseDeclared({ file, text, kinds: declaredKinds }));
  const targets = declared.flatMap((resource, index): TargetInFile[] => {
    const { spec } = resource;
    if (resource.kind !== 'Target' || !Value.Check(HttpSpec, spec)) return [];
    if (name !== undefined && resource.name !== name) return [];
    const { url, routes = [], unlisted } = spec;
    const urls = Array.isArray(url) ? url : [url];
    return [{ text, index, name: resource.name, urls, routes, refusesUnlisted: unlisted === 'refuse' }];
  });
  const [target, ...others] = targets;
  if (target === undefined)
    throw new UsageError(
      `${file} declares no HTTP target${name === undefined ? '' : ` ${name}`}; write its kind, name and url first`,
    );
  if (others.length === 0) return target;
  throw new UsageError(`${file} declares ${targets.map((one) => one.name).join(', ')}; choose one with --target`);
}

/** Puts a changed text in a file's place, whole, with its owner and mode; refused when somebody else has changed it since, or it can't be. @throws UsageError */
export function replaceText(
  file: string,
  { before, after }: { readonly before: string; readonly after: string },
): void {
  const path = realpathSync(file);
  try {
    replace(path, () => {
      if (readFileSync(path, 'utf8') !== before) throw new UsageError(`${file} has changed meanwhile; start over`);
      return after;
    });
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'EEXIST')
      throw new UsageError(
        `${path}.new is there: another run is writing, or was ended amid that; remove it where none is, and start over`,
        { cause },
      );
    if (code !== undefined && UNWRITABLE.has(code))
      throw new UsageError(
        `${file} can't be written with its owner and mode (${code}); run this as its owner, or without --into, and paste the routes`,
        { cause },
      );
    throw cause;
  }
}

/** `look` gives the text, at the last moment. */
function replace(path: string, look: () => string): void {
  const { mode, uid, gid } = statSync(path);
  const unfinished = `${path}.new`;
  const descriptor = openSync(unfinished, 'wx', 0o600);
  try {
    writeFileSync(descriptor, look());
    fsyncSync(descriptor);
    const made = statSync(unfinished);
    if (made.uid !== uid || made.gid !== gid) chownSync(unfinished, uid, gid);
    chmodSync(unfinished, mode & 0o7777);
    look();
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

const UNWRITABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT']);
