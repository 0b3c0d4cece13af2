import { describe, expect, it } from 'vitest';
import { attestors } from '../../src/attestation/attestors/registry.generated.ts';
import type { AttestorMember } from '../../src/attestation/index.ts';

// What every attestor must do, whatever it looks at.

const members: readonly AttestorMember[] = attestors;

describe.each(members.map((member) => [member.id, member] as const))('the attestor %s', (_id, member) => {
  it('proves nodes, or processes, or both', () => {
    expect(member.node ?? member.workload).toBeDefined();
  });

  it('has a type that can stand in a selector and in a SPIFFE ID', () => {
    expect(member.type).toMatch(/^[a-z0-9_]+$/);
  });

  it('describes each of its settings', () => {
    for (const [name, schema] of Object.entries(member.config.properties))
      expect(schema, name).toHaveProperty('description');
    expect(member.config).toHaveProperty('additionalProperties', false);
  });

  it.runIf(member.workload)('refuses settings that are not its own', () => {
    expect(() => member.workload?.open({ 'no such setting': 1 })).toThrow(/settings/);
  });

  it.runIf(member.workload)(
    'tells of a living process only facts of its own type, and the same ones when asked again',
    async () => {
      const attest = member.workload?.open({});
      const self = {
        pid: process.pid,
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
        groups: process.getgroups?.() ?? [],
        executable: () => process.execPath,
        alive: () => true,
        close() {},
      };
      const first = await attest?.(self, new AbortController().signal);
      expect(first?.length).toBeGreaterThan(0);
      for (const selector of first ?? [])
        expect(selector).toMatchObject({ type: member.type, value: expect.stringMatching(/.:?./) });
      expect(await attest?.(self, new AbortController().signal)).toEqual(first);
    },
  );

  it.runIf(member.workload)('stops when it is told to', async () => {
    const self = {
      pid: process.pid,
      uid: 0,
      gid: 0,
      groups: [],
      executable: () => undefined,
      alive: () => true,
      close() {},
    };
    await expect(member.workload?.open({})(self, AbortSignal.abort())).rejects.toThrow();
  });

  it.runIf(member.node)('refuses settings that are not its own, on both halves', async () => {
    const deps = { clock: { now: () => 0 }, random: { bytes: (count: number) => Buffer.alloc(count) } };
    // Neither half gets as far as using what it depends on.
    await expect(async () => member.node?.prove({ 'no such setting': 1 }, deps as never)).rejects.toThrow(/settings/);
    await expect(async () => member.node?.openVerifier({ 'no such setting': 1 }, deps as never)).rejects.toThrow(
      /settings/,
    );
  });
});
