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
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { WrittenRoute } from '../../api-documents/index.ts';
import { targetSchemas } from '../../app/declared-rules.ts';
import { parseDeclared } from '../../config/index.ts';
import { UsageError } from '../command.ts';
import { readNamedFile } from '../declared/named-file.ts';

/** An HTTP target in a file of resources. */
export interface TargetInFile {
  readonly text: string;
  /** Which document of the file it is. */
  readonly index: number;
  readonly name: string;
  readonly urls: readonly string[];
  readonly routes: readonly WrittenRoute[];
}

/** The HTTP target of that name; without a name the only one. @throws UsageError */
export function targetIn(file: string, name: string | undefined): TargetInFile {
  if (!statSync(file, { throwIfNoEntry: false })) throw new UsageError(`there is no ${file}`);
  const text = readFileSync(file, 'utf8');
  const declared = readNamedFile(() => parseDeclared({ file, text, protocols: targetSchemas }));
  const targets = declared.flatMap((resource, index): TargetInFile[] => {
    const { spec } = resource;
    if (resource.kind !== 'Target' || !Value.Check(HTTP, spec)) return [];
    if (name !== undefined && resource.name !== name) return [];
    const { url, routes = [] } = spec;
    return [{ text, index, name: resource.name, urls: Array.isArray(url) ? url : [url], routes }];
  });
  const [target, ...others] = targets;
  if (target === undefined)
    throw new UsageError(
      `${file} declares no HTTP target${name === undefined ? '' : ` ${name}`}; write its kind, name and url first`,
    );
  if (others.length === 0) return target;
  throw new UsageError(`${file} declares ${targets.map((one) => one.name).join(', ')}; choose one with --target`);
}

/** Puts a changed text in a file's place, whole, with its owner and mode; refused when somebody else has changed it since. @throws UsageError */
export function replaceText(
  file: string,
  { before, after }: { readonly before: string; readonly after: string },
): void {
  const path = realpathSync(file);
  const { mode, uid, gid } = statSync(path);
  const unfinished = `${path}.new`;
  const descriptor = openSync(unfinished, 'wx', 0o600);
  try {
    writeFileSync(descriptor, after);
    fsyncSync(descriptor);
    const made = statSync(unfinished);
    if (made.uid !== uid || made.gid !== gid) chownSync(unfinished, uid, gid);
    chmodSync(unfinished, mode & 0o7777);
    if (readFileSync(path, 'utf8') !== before) throw new UsageError(`${file} has changed meanwhile; start over`);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

const HTTP = Type.Object({
  protocol: Type.Literal('http'),
  url: Type.Union([Type.String(), Type.Array(Type.String())]),
  routes: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String(),
        path: Type.String(),
        methods: Type.Optional(Type.Array(Type.String())),
        reads: Type.Optional(Type.Array(Type.String())),
      }),
    ),
  ),
});
