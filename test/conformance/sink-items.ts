import { parseEntry } from '../../src/ledger/index.ts';
import { ocsfEvent } from '../../src/records/delivery/ocsf-event.ts';
import { testEntry } from '../../src/records/testing/log-fixture.ts';

/** What each sink brings for the suite of its family, in `testing/conformance.ts` of its folder. */
export interface ConformanceSink {
  readonly config: Readonly<Record<string, unknown>>;
  /** What references lead to. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, Buffer>>;
  /** The ids of what is there. */
  taken(): Promise<readonly string[]>;
  breakIt(): Promise<void>;
  mendIt(): Promise<void>;
  /** From now on the other side refuses the one with that id; undefined where it has no way to. */
  readonly refuse: ((id: string) => Promise<void>) | undefined;
  close(): Promise<void>;
}

/** So many items, of all kinds and with awkward texts. */
export function sinkItems(count: number) {
  return Array.from({ length: count }, (_, position) => {
    const kind = KINDS[position % KINDS.length] ?? 'intent';
    const target = `db "${TEXTS[position % TEXTS.length]}"`;
    const entry = parseEntry(testEntry(position, { kind, target, detail: { peer: '127.0.0.1:4711', status: 'done' } }));
    const id = `corp.example/1/${position}`;
    const event = ocsfEvent(entry, { id, origin: 'corp.example/gateway/one', position, version: '1.2.3' });
    return { id, event, json: JSON.stringify(event) };
  });
}

const KINDS = ['session-open', 'intent', 'outcome', 'denial', 'session-close', 'admin', 'ledger', 'of-a-newer-writer'];
const TEXTS = ['plain', 'ünïcode 漢字', 'new\nline', '] bracket \\ "quote"', '\u0000 zero', 'x'.repeat(3000)];
