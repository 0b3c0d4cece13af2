import { parseSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import { type ApprovalSurroundings, type Approvals, createApprovals, parseApprovalRule } from '../../approval/index.ts';
import type { Authority } from '../../authority/index.ts';
import type { ServerConfig } from '../../config/index.ts';
import { agreedAttributes } from '../../model/index.ts';
import type { Registration } from '../../registration/index.ts';
import type { Resources } from '../../resources/index.ts';
import type { Revocations } from '../../revocation/index.ts';
import { messageOf, type Service } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import type { RoleDeps } from '../role.ts';

/** The rules that are declared, as they are in force at each question. */
export function declaredRules(resources: Pick<Resources, 'snapshot'>): ApprovalSurroundings['rules'] {
  return (name) => {
    const found = resources.snapshot().resources.find((one) => one.kind === 'ApprovalRule' && one.name === name);
    return found && parseApprovalRule(name, found.spec);
  };
}

/** Operations that wait for an answer, over one store, as one server knows what is around them. */
export function createServerApproval(
  { clock, random, log }: Pick<RoleDeps<ServerConfig>, 'clock' | 'random' | 'log'>,
  parts: {
    readonly store: Store;
    readonly authority: Pick<Authority, 'signStatement'>;
    readonly registration: Pick<Registration, 'entriesOf'>;
    readonly resources: Pick<Resources, 'snapshot' | 'gatewayInstances'>;
    readonly revocations: Pick<Revocations, 'checkSigned' | 'onChange'>;
    readonly trustDomain: TrustDomain;
    readonly rules: ApprovalSurroundings['rules'];
  },
): Approvals & Service {
  const { authority, registration, resources, revocations, rules, store, trustDomain } = parts;
  const entriesOf = (spiffeId: string) => registration.entriesOf(parseSpiffeId(spiffeId));
  return createApprovals({
    ...{ store, clock, random, log, trustDomain },
    around: {
      rules,
      hasTarget: (name) => resources.snapshot().targets.some((target) => target.name === name),
      ownerOf(spiffeId) {
        const entries = entriesOf(spiffeId);
        return entries.length === 0 ? undefined : agreedAttributes(entries.map((one) => one.attributes)).owner;
      },
      async revoked(subjects) {
        const facts = subjects.map((one) => ({
          ...one,
          labels: entriesOf(one.spiffeId ?? '').map(({ attributes }) => attributes.labels),
        }));
        return (await revocations.checkSigned(facts)).map((refusal) => refusal && messageOf(refusal));
      },
      onRevoked: revocations.onChange,
      gateways: resources.gatewayInstances,
      sign: ({ type, claims }) => authority.signStatement({ type, claims: { ...claims } }),
    },
  });
}
