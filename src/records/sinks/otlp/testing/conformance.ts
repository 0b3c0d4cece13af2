import { openHttpPlace } from '../../../testing/http-place.ts';

interface Exported {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
      }[];
    }[];
  }[];
}

/** What the suite of the family must know of this sink. */
export const conformance = {
  async open() {
    const refused = new Set<string>();
    const taken: string[] = [];
    const place = await openHttpPlace(
      ({ body }) => {
        const { resourceLogs }: Exported = JSON.parse(body);
        const records = resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
        const ids = records.map(
          ({ attributes }) => attributes.find(({ key }) => key === 'log.record.uid')?.value.stringValue ?? '',
        );
        const rejected = ids.filter((id) => refused.has(id)).length;
        taken.push(...ids.filter((id) => !refused.has(id)));
        const partialSuccess = { rejectedLogRecords: `${rejected}`, errorMessage: 'not this one' };
        return { status: 200, body: JSON.stringify(rejected > 0 ? { partialSuccess } : {}) };
      },
      { isTls: false },
    );
    return {
      config: { url: place.url, authorization: 'env:TOKEN' },
      secrets: { 'env:TOKEN': 'Bearer canary-of-the-suite' },
      taken: async () => taken,
      breakIt: place.close,
      mendIt: place.reopen,
      refuse: async (id: string) => void refused.add(id),
      close: place.close,
    };
  },
};
