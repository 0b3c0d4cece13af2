import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseChecked } from '../config/index.ts';
import { type PolicyCase, type PolicySource, policyCasesSchema } from '../policy/index.ts';
import { type CliInput, UsageError } from './command.ts';

/** The policies of the files and folders named as arguments: `*.cedar`, in order of name. @throws UsageError */
export function policySources(input: CliInput): PolicySource[] {
  const files = filesOf(input, /\.cedar$/);
  if (files.length === 0) throw new UsageError('name at least one .cedar file, or a folder that holds some');
  return files.map((file) => ({ name: basename(file, '.cedar'), text: readFileSync(file, 'utf8') }));
}

/** The test cases beside the policies: `*.test.yaml`. @throws ConfigError, UsageError */
export function policyCases(input: CliInput): { file: string; cases: readonly PolicyCase[] }[] {
  return filesOf(input, /\.test\.ya?ml$/).map((file) => {
    const [document] = parseChecked({ file, text: readFileSync(file, 'utf8'), schema: policyCasesSchema });
    return { file, cases: document?.value ?? [] };
  });
}

function filesOf(input: CliInput, pattern: RegExp): string[] {
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
