import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { policySchema } from '../../app/policy-schema.ts';
import { parseChecked } from '../../config/index.ts';
import {
  type CompiledPolicies,
  checkPolicies,
  formatProblem,
  type PolicyCase,
  PolicyError,
  type PolicyProblem,
  type PolicySource,
  policyCasesSchema,
} from '../../policy/index.ts';
import { type CliInput, UsageError } from '../command.ts';
import { readNamedFile } from './named-file.ts';

/** What is wrong with policies in files, each problem with its file as `position.source`; `compiled` when nothing is an error. */
export interface PolicyFilesReport {
  readonly problems: readonly PolicyProblem[];
  readonly compiled: CompiledPolicies | undefined;
  /** The file of the policies with that name as `position.source`. */
  fileOf(name: string): string | undefined;
}

/** Checks the policies of the files and folders named as arguments: `*.cedar`. @throws UsageError, PolicyError ERR_POLICY_PARSER */
export function checkPolicyFiles(input: CliInput): PolicyFilesReport {
  const sources = policySources(input);
  const { problems, compiled } = checkPolicies(sources, policySchema);
  const files = new Map(sources.map(({ name, file }) => [name, file]));
  const fileOf = (name: string) => files.get(name);
  return { problems: problems.map((problem) => inFile(problem, fileOf(problem.position.source))), compiled, fileOf };
}

/** The policies of those files. @throws UsageError, PolicyError with one line for each error, as {@link policyErrorOf} */
export function loadPolicyFiles(input: CliInput): CompiledPolicies {
  const { problems, compiled } = checkPolicyFiles(input);
  const error = policyErrorOf(problems);
  if (error !== undefined) throw error;
  if (compiled === undefined) throw new PolicyError('ERR_POLICY_INVALID', 'policies could not be loaded');
  return compiled;
}

/** The errors among the problems as one, each on a line `file:line:column: error: …`; undefined when there is none. */
export function policyErrorOf(all: readonly PolicyProblem[]): PolicyError | undefined {
  const problems = all.filter(({ severity }) => severity === 'error');
  const [first] = problems;
  return first && new PolicyError(first.code, problems.map(formatProblem).join('\n'), { problems });
}

/** The problem with the file's path in place of the policy's name, which says nothing to an editor. */
export function inFile(problem: PolicyProblem, file: string | undefined): PolicyProblem {
  return file === undefined ? problem : { ...problem, position: { ...problem.position, source: file } };
}

/** In order of name; one name is one file. */
function policySources(input: CliInput): (PolicySource & { readonly file: string })[] {
  const files = filesOf(input, /\.cedar$/);
  if (files.length === 0) throw new UsageError('name at least one .cedar file, or a folder that holds some');
  const seen = new Map<string, string>();
  return files.map((file) => {
    const name = basename(file, '.cedar');
    const before = seen.get(name);
    if (before !== undefined) throw new UsageError(`${file}: Policy ${name} is declared already at ${before}`);
    seen.set(name, file);
    return { name, file, text: readFileSync(file, 'utf8') };
  });
}

/** The test cases beside the policies: `*.test.yaml`. @throws UsageError */
export function policyCases(input: CliInput): { file: string; cases: readonly PolicyCase[] }[] {
  return filesOf(input, /\.test\.ya?ml$/).map((file) => {
    const text = readFileSync(file, 'utf8');
    const [document] = readNamedFile(() => parseChecked({ file, text, schema: policyCasesSchema }));
    return { file, cases: document?.value ?? [] };
  });
}

/** Files whose name fits, of those that are named as arguments and those below the folders named. @throws UsageError */
export function filesOf(input: CliInput, pattern: RegExp): string[] {
  if (input.args.length === 0) throw new UsageError('name a policy file or a folder of them');
  return input.args.flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new UsageError(`there is no ${path}`);
    if (!stat.isDirectory()) return pattern.test(path) ? [path] : [];
    const entries = readdirSync(path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && pattern.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted();
  });
}
