/** Which items of a long list are in sight of the window, by @tanstack/virtual-core; heights are measured as they are drawn. */
import {
  defaultRangeExtractor,
  observeWindowOffset,
  observeWindowRect,
  type VirtualItem,
  Virtualizer,
  type VirtualizerOptions,
  windowScroll,
} from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface WindowListOptions {
  readonly count: number;
  readonly keyOf: (index: number) => string;
  readonly estimatePx: (index: number) => number;
  /** Drawn wherever it is: the focus must not leave the page with it. */
  readonly keep: number | null;
}

export interface WindowList {
  readonly items: readonly VirtualItem[];
  readonly heightPx: number;
  /** Of the list's top, below which items are placed. */
  readonly marginPx: number;
  readonly measure: (element: HTMLElement | null) => void;
  scrollTo(index: number, align: "auto" | "center" | "start"): void;
}

export function useWindowList(
  list: { readonly current: HTMLElement | null },
  { count, keyOf, estimatePx, keep }: WindowListOptions,
): WindowList {
  const [, render] = useState(0);
  const [marginPx, setMargin] = useState(0);
  const kept = useRef(keep);
  kept.current = keep;
  const options: VirtualizerOptions<Window, HTMLElement> = {
    count,
    getScrollElement: () => window,
    getItemKey: keyOf,
    estimateSize: estimatePx,
    overscan: 12,
    scrollMargin: marginPx,
    scrollPaddingStart: 16,
    scrollPaddingEnd: 64,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    initialOffset: () => window.scrollY,
    onChange: () => render((changes) => changes + 1),
    rangeExtractor: (range) => {
      const inSight = defaultRangeExtractor(range);
      const { current } = kept;
      if (current === null || current >= range.count || inSight.includes(current)) return inSight;
      return [...inSight, current].sort((a, b) => a - b);
    },
  };
  const [virtual] = useState(() => new Virtualizer(options));
  virtual.setOptions(options);
  useEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => {
    virtual._willUpdate();
    const top = list.current ? list.current.getBoundingClientRect().top + window.scrollY : 0;
    if (Math.abs(top - marginPx) > 1) setMargin(top);
  });
  return {
    items: virtual.getVirtualItems(),
    heightPx: virtual.getTotalSize(),
    marginPx,
    // The same function each time: another one would be a ref that goes and comes, and measure every item in every render.
    measure: virtual.measureElement,
    scrollTo: (index, align) => virtual.scrollToIndex(index, { align }),
  };
}
