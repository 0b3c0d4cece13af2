/** The usual reason phrase of a status; none of one that has none. Nothing is read by it. @see RFC 9110 §15, RFC 9112 §4 */
export function reasonOf(status: number): string {
  return REASONS.get(status) ?? '';
}

const REASONS: ReadonlyMap<number, string> = new Map([
  ...([
    [100, 'Continue'],
    [101, 'Switching Protocols'],
    [103, 'Early Hints'],
  ] as const),
  ...([
    [200, 'OK'],
    [201, 'Created'],
    [202, 'Accepted'],
    [203, 'Non-Authoritative Information'],
    [204, 'No Content'],
  ] as const),
  ...([
    [205, 'Reset Content'],
    [206, 'Partial Content'],
    [207, 'Multi-Status'],
    [208, 'Already Reported'],
    [226, 'IM Used'],
  ] as const),
  ...([
    [300, 'Multiple Choices'],
    [301, 'Moved Permanently'],
    [302, 'Found'],
    [303, 'See Other'],
    [304, 'Not Modified'],
  ] as const),
  ...([
    [307, 'Temporary Redirect'],
    [308, 'Permanent Redirect'],
  ] as const),
  ...([
    [400, 'Bad Request'],
    [401, 'Unauthorized'],
    [402, 'Payment Required'],
    [403, 'Forbidden'],
    [404, 'Not Found'],
  ] as const),
  ...([
    [405, 'Method Not Allowed'],
    [406, 'Not Acceptable'],
    [407, 'Proxy Authentication Required'],
    [408, 'Request Timeout'],
  ] as const),
  ...([
    [409, 'Conflict'],
    [410, 'Gone'],
    [411, 'Length Required'],
    [412, 'Precondition Failed'],
    [413, 'Content Too Large'],
  ] as const),
  ...([
    [414, 'URI Too Long'],
    [415, 'Unsupported Media Type'],
    [416, 'Range Not Satisfiable'],
    [417, 'Expectation Failed'],
  ] as const),
  ...([
    [421, 'Misdirected Request'],
    [422, 'Unprocessable Content'],
    [423, 'Locked'],
    [424, 'Failed Dependency'],
  ] as const),
  ...([
    [425, 'Too Early'],
    [426, 'Upgrade Required'],
    [428, 'Precondition Required'],
    [429, 'Too Many Requests'],
  ] as const),
  ...([
    [431, 'Request Header Fields Too Large'],
    [451, 'Unavailable For Legal Reasons'],
  ] as const),
  ...([
    [500, 'Internal Server Error'],
    [501, 'Not Implemented'],
    [502, 'Bad Gateway'],
    [503, 'Service Unavailable'],
  ] as const),
  ...([
    [504, 'Gateway Timeout'],
    [505, 'HTTP Version Not Supported'],
    [506, 'Variant Also Negotiates'],
  ] as const),
  ...([
    [507, 'Insufficient Storage'],
    [508, 'Loop Detected'],
    [511, 'Network Authentication Required'],
  ] as const),
]);
