import { expect, it } from 'vitest';
import { accessForms } from '../../app/access-forms.generated.ts';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import { createPolicyLoader } from '../../policy/index.ts';
import { accessSchema } from './access-schema.ts';
import { builtInPolicy } from './built-in-policy.ts';
import { defaultPolicy } from './default-policy.ts';

it('what is built in and the default are shipped as they are parsed, for the schema of the endpoints in whatever order: no server loads Cedar for it', () => {
  for (const order of [endpoints, endpoints.toReversed()]) {
    const parsed = createPolicyLoader(accessSchema(order)).parsed([builtInPolicy, defaultPolicy]);
    expect(parsed?.by).toBe(accessForms.by);
    const plain = (forms: typeof parsed) =>
      forms?.forms.map(({ textDigest, json }) => [Buffer.from(textDigest).toString('hex'), json]);
    expect(plain(parsed)).toEqual(plain(accessForms));
  }
});
