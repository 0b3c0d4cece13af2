import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { declaredKinds } from '../../app/declared-kinds.ts';
import { policySchema } from '../../app/policy-schema.ts';
import { type Declared, parseDeclared } from '../../config/index.ts';
import { checkParsed, type FormOf } from '../../policy/index.ts';
import { UsageError } from '../command.ts';
import { readNamedFile } from './named-file.ts';
import { inFile, type PolicyFilesReport, policyErrorOf } from './policy-files.ts';

/** What files declare. */
export interface DeclaredFiles {
  readonly resources: readonly Declared[];
  /** Checked as one set. */
  readonly policies: PolicyFilesReport;
  /** The file, or the place in it, by `kind/name`; of a policy that from which its lines are counted. */
  placeOf(resource: string): string | undefined;
  /** OpenAPI documents in folders, which are no resources. */
  readonly documents: readonly string[];
}

/**
 * Reads every declared resource of the files and folders named: `*.yaml` and `*.yml` hold resources, `*.cedar` one policy each, named
 * by the file; `*.test.yaml` holds policy tests and is left out, as is, in a folder, an OpenAPI document. Folders are read with what is below them, in order of name. A path that
 * declares nothing is refused: more likely it is the wrong one than that everything is to be pruned. Of a policy that `formOf` knows no warnings are found.
 * @throws PolicyError, UsageError
 */
export function readDeclared(paths: readonly string[], formOf?: FormOf): DeclaredFiles {
  const documents: string[] = [];
  const resources = paths.flatMap((path) => readPath(path, documents));
  const seen = new Map<string, string>();
  for (const { kind, name, where } of resources) {
    const before = seen.get(`${kind} ${name}`);
    if (before !== undefined) throw new UsageError(`${where}: ${kind} ${name} is declared already at ${before}`);
    seen.set(`${kind} ${name}`, where);
  }
  const policies = checkDeclared(
    resources.filter(({ kind }) => kind === 'Policy'),
    formOf,
  );
  // The server checks them too, with those that it has; only here the file is known that an editor is to open.
  const error = policyErrorOf(policies.problems);
  if (error !== undefined) throw error;
  const places = new Map(resources.map((resource) => [`${resource.kind}/${resource.name}`, placeOf(resource)]));
  return { resources, policies, documents, placeOf: (resource) => places.get(resource) };
}

function checkDeclared(declared: readonly Declared[], formOf: FormOf = () => undefined): PolicyFilesReport {
  const files = new Map(declared.map((resource) => [resource.name, placeOf(resource)]));
  const fileOf = (name: string) => files.get(name);
  const { problems, compiled } = checkParsed(
    declared.map(({ name, spec }) => ({ name, text: String(spec['cedar']) })),
    policySchema,
    formOf,
  );
  return { compiled, fileOf, problems: problems.map((problem) => inFile(problem, fileOf(problem.position.source))) };
}

/** A policy that is a file of its own is named by the file, one within YAML by the place of its resource. */
function placeOf({ kind, name, where }: Declared): string {
  if (kind !== 'Policy') return where;
  return where.endsWith('.cedar:1:1') ? where.slice(0, -':1:1'.length) : `${where}: ${name}`;
}

function readPath(path: string, documents: string[]): Declared[] {
  const files = filesOf(path);
  if (files.length === 0) throw new UsageError(`there is no *.yaml or *.cedar below ${path}`);
  const isFolder = statSync(path).isDirectory();
  const resources = files.flatMap((file) => {
    if (!isFolder || !isOpenApi(file)) return readFile(file);
    documents.push(file);
    return [];
  });
  if (resources.length === 0) throw new UsageError(`${path} declares no resource`);
  return resources;
}

function filesOf(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })) throw new UsageError(`there is no ${path}`);
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(ya?ml|cedar)$/.test(entry.name) && !/\.test\.ya?ml$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** It may lie beside the target that it describes. What also has something of a resource is read, and refused. */
function isOpenApi(file: string): boolean {
  if (file.endsWith('.cedar')) return false;
  const text = readFileSync(file, 'utf8');
  return OPEN_API.test(text) && !RESOURCE.test(text);
}

function readFile(file: string): Declared[] {
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.cedar')) {
    return readNamedFile(() => parseDeclared({ file, text, kinds: declaredKinds }));
  }
  return [{ kind: 'Policy', name: basename(file, '.cedar'), spec: { cedar: text }, where: `${file}:1:1` }];
}

/** At the beginning of a line, where names stand that a document itself has. */
const OPEN_API = /^(?:\{\s*)?["']?openapi["']?\s*:/m;
const RESOURCE = /^(?:\{\s*)?["']?(?:kind|name|spec|describedBy)["']?\s*:/m;
