import { expiredPolicies, type PolicyProblem } from '../../policy/index.ts';
import type { CliContext } from '../command.ts';
import { inFile, type PolicyFilesReport } from './policy-files.ts';

/** Warns of permits in checked policies that have expired by now. */
export function warnOfExpired(
  { clock }: Pick<CliContext, 'clock'>,
  { compiled, fileOf }: PolicyFilesReport,
): readonly PolicyProblem[] {
  if (compiled === undefined) return [];
  return expiredPolicies(compiled, clock.now()).map((problem) => inFile(problem, fileOf(problem.position.source)));
}
