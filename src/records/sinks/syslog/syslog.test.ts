import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sinkItems } from '../../../../test/conformance/sink-items.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../../std/index.ts';
import { member } from './index.ts';
import { formatMessage } from './message.ts';
import { openCollector } from './testing/collector.ts';

// Goal: each message is one that RFC 5424 allows, and nothing counts as taken that the collector may not have read.

const { signal } = new AbortController();
let collector: Awaited<ReturnType<typeof openCollector>>;
beforeEach(async () => {
  collector = await openCollector();
});
afterEach(() => collector.close());

const opened = (config: object = {}) =>
  member.open(
    { address: collector.address, ca: '/ca.pem', ...config },
    {
      ...{
        clock: createSystemClock(),
        random: createSystemRandom(),
        log: createSilentLog(),
        name: 'one',
        dataDir: '/',
      },
      readSecret: () => undefined,
      readTrustedFile: (path) => (path === '/ca.pem' ? collector.ca : undefined),
    },
  );

describe('a message', () => {
  const [item] = sinkItems(1);
  if (item === undefined) throw new Error('there is one');
  const format = (more: object) =>
    formatMessage({ ...item, ...more } as typeof item, { facility: 13, enterprise: 32473 }).toString();

  it('has the form of RFC 5424: priority, version, time, host, app, process, id, structured data, BOM, text', () => {
    const [header, text] = format({}).split('\ufeff');
    expect(header).toBe(
      '<110>1 1970-01-01T00:16:40.000Z corp.example/gateway/one countersign - session-open ' +
        '[countersign@32473 id="corp.example/1/0" class="3002" activity="1" status="Success"] ',
    );
    expect(JSON.parse(text ?? '')).toEqual(item.event);
  });

  it('keeps quotes, brackets and backslashes of values inside of them, and names of the header without spaces', () => {
    const metadata = { ...item.event.metadata, log_name: 'a b\nc', event_code: 'x'.repeat(50) };
    const header = format({ id: 'a"b]c\\d', event: { ...item.event, metadata } }).split('\ufeff')[0];
    expect(header).toContain('id="a\\"b\\]c\\\\d"');
    expect(header).toContain(` a_b_c countersign - ${'x'.repeat(32)} [`);
  });
});

describe('a batch', () => {
  it('is not taken by a collector that ends the connection before it has read', async () => {
    collector.state.isReading = false;
    const sink = await opened();
    await expect(sink.send(sinkItems(50), { signal })).rejects.toThrow();
    expect(collector.messages()).toEqual([]);
  });

  it('does not go to one that another authority vouches for, nor to one of another name', async () => {
    const other = await openCollector();
    const sink = await opened({ address: other.address });
    await expect(sink.send(sinkItems(1), { signal })).rejects.toThrow(/certificate/);
    const renamed = await opened({ address: collector.address.replace('localhost', '127.0.0.1') });
    await expect(renamed.send(sinkItems(1), { signal })).rejects.toThrow();
    await other.close();
    expect([...other.messages(), ...collector.messages()]).toEqual([]);
  });
});

it('is refused with a certificate and no key', async () => {
  await expect(opened({ certificate: '/ca.pem' })).rejects.toMatchObject({ code: 'ERR_RECORDS_SINK' });
});
