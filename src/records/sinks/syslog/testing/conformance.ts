import { openCollector } from './collector.ts';

/** What the suite of the family must know of this sink. */
export const conformance = {
  async open() {
    const collector = await openCollector();
    return {
      config: { address: collector.address, ca: '/ca.pem' },
      secrets: {},
      files: { '/ca.pem': collector.ca },
      taken: async () =>
        collector.messages().map((message) => /\[countersign@32473 id="([^"]*)"/.exec(message)?.[1] ?? ''),
      breakIt: collector.close,
      mendIt: collector.reopen,
      /** Syslog refuses nothing. */
      refuse: undefined,
      close: collector.close,
    };
  },
};
