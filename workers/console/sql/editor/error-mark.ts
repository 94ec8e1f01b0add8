/** A wavy line under what the server found wrong, until the text changes. */
import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView } from "@codemirror/view";
import type { Place } from "../error-place.ts";

export const markError = StateEffect.define<Place | null>();

const wrong = Decoration.mark({ class: "cm-wrong", attributes: { title: "The server found this wrong" } });

export const errorMark = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = transaction.docChanged ? Decoration.none : marks;
    for (const effect of transaction.effects) {
      if (!effect.is(markError)) continue;
      const { from, to } = effect.value ?? { from: 0, to: 0 };
      const inside = from < to && to <= transaction.newDoc.length;
      next = inside ? Decoration.set([wrong.range(from, to)]) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});
