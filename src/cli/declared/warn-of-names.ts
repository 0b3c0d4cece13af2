import { policySchema } from '../../app/policy-schema.ts';
import { type PolicyProblem, unmatchedNames } from '../../policy/index.ts';
import type { CliContext, CliInput } from '../command.ts';
import { settingsIfAny } from '../settings.ts';
import { namesOfFiles } from './known-names.ts';
import { filesOf, inFile, type PolicyFilesReport } from './policy-files.ts';

/** Warns of names in checked policies that nothing in the same files matches; the trust domain is that of the configuration as well. */
export function warnOfNamesInFiles(
  context: CliContext,
  input: CliInput,
  policies: PolicyFilesReport,
): readonly PolicyProblem[] {
  if (policies.compiled === undefined) return [];
  const files = filesOf(input, /\.ya?ml$/).filter((file) => !/\.test\.ya?ml$/.test(file));
  const { known, unread } = namesOfFiles(files, trustDomainOf(context));
  const notes = unread.map(({ file, why }): PolicyProblem => {
    const message = `names of targets and identities were not checked, because this file can't be read: ${why}`;
    const position = { source: file, line: 1, column: 1 };
    return { severity: 'warning', code: 'ERR_POLICY_NAME', message, help: undefined, policy: undefined, position };
  });
  return [...notes, ...inFiles(unmatchedNames(policies.compiled, policySchema, known), policies)];
}

/** Problems with the files that they are of. */
export function inFiles(problems: readonly PolicyProblem[], { fileOf }: PolicyFilesReport): readonly PolicyProblem[] {
  return problems.map((problem) => inFile(problem, fileOf(problem.position.source)));
}

/** Where there is no configuration that this user can read, a policy's author is not at the machine it is for. */
function trustDomainOf(context: CliContext): string | undefined {
  try {
    return settingsIfAny(context)?.trustDomain;
  } catch {
    return undefined; // The check is of policies; whoever starts a role is told what is wrong with its configuration.
  }
}
