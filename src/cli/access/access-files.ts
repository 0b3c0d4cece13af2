import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type CliInput, listOption, UsageError } from '../command.ts';
import { filesOf } from '../declared/policy-files.ts';

/** The policies of access in the files and folders of `--file`, as the API takes them: a `.cedar` file a text, its name that of the file. @throws UsageError */
export function readAccessFiles(input: CliInput): { readonly name: string; readonly cedar: string }[] {
  const args = listOption(input, 'file');
  if (args.length === 0)
    throw new UsageError('-f, the file or folder with policies of access (*.cedar), is missing; or say --default');
  const files = filesOf({ ...input, args }, /\.cedar$/);
  if (files.length === 0) throw new UsageError('there is no .cedar file; `--default` takes back what was changed');
  const seen = new Map<string, string>();
  return files.map((file) => {
    const name = basename(file, '.cedar');
    const before = seen.get(name);
    if (before !== undefined) throw new UsageError(`${file}: ${name} is there already, at ${before}`);
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
      throw new UsageError(
        `${file}: the name must be 1 to 63 lower-case letters, digits and dashes, starting with a letter`,
      );
    seen.set(name, file);
    return { name, cedar: readFileSync(file, 'utf8') };
  });
}
