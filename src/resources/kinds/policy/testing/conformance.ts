import type { KindExamples } from '../../../testing/kind-examples.ts';

const permit = (id: string) => `@id("${id}")\npermit(principal, action, resource);`;

export const conformance: KindExamples = {
  good: [{ cedar: permit('a') }, { cedar: permit('b') }, { cedar: '// nothing yet' }],
  bad: [{}, { cedar: 1 }, { cedar: '', more: true }],
  clash: [{ cedar: permit('x') }, { cedar: `// another\n${permit('x')}` }],
};
