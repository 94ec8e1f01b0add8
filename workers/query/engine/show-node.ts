/** Ends what `hide-node.ts` began: evaluated after the glue. */
import { showNode } from "./hide-node.ts";

showNode();
