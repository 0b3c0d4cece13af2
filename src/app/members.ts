import type { TObject } from 'typebox';
import { attestors } from '../attestation/attestors/registry.generated.ts';
import type { AttestorMember } from '../attestation/index.ts';
import { keystores } from '../authority/keystores/registry.generated.ts';
import type { MemberSchemas } from '../config/index.ts';
import { recordFilterSchema } from '../records/index.ts';
import { recordSinks } from '../records/sinks/registry.generated.ts';
import { storeEngines } from '../store/engines/registry.generated.ts';

const nodeAttestors: readonly AttestorMember[] = attestors.filter(
  (member: AttestorMember) => member.node !== undefined,
);
const workloadAttestors: readonly AttestorMember[] = attestors.filter(
  (member: AttestorMember) => member.workload !== undefined,
);

/** Config schemas of all registered members, as the configuration file wants them. */
export const memberSchemas: MemberSchemas = {
  storeEngines: schemasOf(storeEngines),
  keystores: schemasOf(keystores),
  nodeAttestors: schemasOf(nodeAttestors),
  workloadAttestors: schemasOf(workloadAttestors),
  recordSinks: schemasOf(recordSinks),
  recordFilter: recordFilterSchema,
};

function schemasOf(members: readonly { readonly id: string; readonly config: TObject }[]): Record<string, TObject> {
  return Object.fromEntries(members.map((member) => [member.id, member.config]));
}
