/** Bytes of the answer to one call: an X.509-SVID with key and bundle, which is what workloads fetch most, has about as many. */
export const JWT_RESPONSE_BYTES = 1800;
