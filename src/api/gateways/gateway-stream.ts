import { Control } from '@countersign/sdk/contract';
import type { QuestionWatch } from '../../questions/index.ts';
import type { Principals } from '../../registration/index.ts';
import type { Resource, Resources, Snapshot } from '../../resources/index.ts';
import { type Prebuilt, prebuilt, type Send } from '../../rpc/index.ts';
import { assert } from '../../std/index.ts';
import { principalsMessages } from '../messages/attributes-message.ts';

/** What one gateway's stream is still to be told. Principals come first: policies that ask about them are not to be without. */
export function gatewayStream(deps: {
  readonly resources: Resources;
  /** Undefined where the gateway does not want to be told of them. */
  readonly principals: Principals | undefined;
  readonly gatewayUpdate: ReturnType<typeof frameGatewayUpdates>;
  watchQuestions(changed: () => void): QuestionWatch;
}) {
  const { resources, principals, gatewayUpdate } = deps;
  let questions: QuestionWatch | undefined;
  let told: number | undefined;
  let toldResources: number | undefined;
  return {
    subscribe(changed: () => void) {
      questions = deps.watchQuestions(changed);
      return [
        questions.stop,
        resources.onChange(changed),
        ...(principals === undefined ? [] : [principals.onChange(changed)]),
      ];
    },
    async push(send: Send<typeof Control.method.watchGateway.output>): Promise<void> {
      // Whoever has to be stopped is not to go on while what is larger passes.
      for (const { id, kind, body, askedBy } of questions?.take() ?? [])
        await send({ question: { id, kind, body, askedBy } });
      if (principals !== undefined && told !== principals.revision()) {
        const changes = principals.since(told);
        for (const message of principalsMessages(changes)) await send({ principals: message });
        told = changes.revision;
      }
      const snapshot = resources.snapshot();
      if (toldResources === snapshot.revision) return;
      await send(gatewayUpdate(snapshot));
      toldResources = snapshot.revision;
    },
  };
}

/** All gateways get the same: it is framed once per revision. */
export function frameGatewayUpdates(): (snapshot: Snapshot) => Prebuilt<typeof Control.method.watchGateway.output> {
  const schema = Control.method.watchGateway.output;
  let known: { revision: number; frame: Prebuilt<typeof schema> } | undefined;
  return (snapshot) => {
    if (known?.revision !== snapshot.revision) {
      const frame = prebuilt(schema, {
        revision: BigInt(snapshot.revision),
        targets: snapshot.targets.map((target) => {
          const { protocol, ...config } = specOf(target);
          return { name: target.name, protocol: `${protocol}`, specJson: JSON.stringify(config) };
        }),
        policies: snapshot.policies.map((policy) => ({ name: policy.name, text: `${specOf(policy)['cedar']}` })),
      });
      known = { revision: snapshot.revision, frame };
    }
    return known.frame;
  };
}

/** The spec as an object: that it is one was checked when it was applied. */
export function specOf(resource: Resource): Readonly<Record<string, unknown>> {
  const { spec } = resource;
  assert(typeof spec === 'object' && spec !== null, 'a spec is an object');
  return { ...spec };
}
