import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { policySchema, targetSchemas } from '../app/declared-rules.ts';
import { type Declared, parseDeclared } from '../config/index.ts';
import { checkPolicies, type PolicyProblem } from '../policy/index.ts';
import { UsageError } from './command.ts';
import { inFile, policyErrorOf } from './policy-files.ts';

/**
 * Reads every declared resource of the files and folders named: `*.yaml` and `*.yml` hold resources, `*.cedar` one policy each, named
 * by the file; `*.test.yaml` holds policy tests and is left out. Folders are read with what is below them, in order of name.
 * @throws ConfigError, PolicyError, UsageError
 */
export function readDeclared(paths: readonly string[]): Declared[] {
  const resources = paths.flatMap((path) => filesOf(path)).flatMap(readFile);
  const seen = new Map<string, string>();
  for (const { kind, name, where } of resources) {
    const before = seen.get(`${kind} ${name}`);
    if (before !== undefined) throw new UsageError(`${where}: ${kind} ${name} is declared already at ${before}`);
    seen.set(`${kind} ${name}`, where);
  }
  // The server checks them too; only here the file is known that an editor is to open.
  const error = policyErrorOf(resources.filter(({ kind }) => kind === 'Policy').flatMap(policyProblems));
  if (error !== undefined) throw error;
  return resources;
}

/** A policy that is a file of its own is named by the file, one within YAML by the place of its resource. */
function policyProblems({ name, spec, where }: Declared): PolicyProblem[] {
  const source = where.endsWith('.cedar:1:1') ? where.slice(0, -':1:1'.length) : `${where}: ${name}`;
  const { problems } = checkPolicies([{ name, text: String(spec['cedar']) }], policySchema);
  return problems.map((problem) => inFile(problem, source));
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

function readFile(file: string): Declared[] {
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.cedar')) return parseDeclared({ file, text, protocols: targetSchemas });
  return [{ kind: 'Policy', name: basename(file, '.cedar'), spec: { cedar: text }, where: `${file}:1:1` }];
}
