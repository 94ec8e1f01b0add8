/** An engine's name for a statement: tokens may choose the same names, and none can reach another's by any choice. */
export const engineId = (token: string, id: string): string => `${token}/${id}`;
