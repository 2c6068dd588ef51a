// A list of any length, of which only the rows in view are in the document. All rows are equally
// high; elements are used again.
const AROUND = 8; // rows above and below the view

export class List {
  #box;
  #inner = document.createElement("div");
  #rows = []; // elements, that of row i at i % length
  #n = 0;
  #isDue = false;
  #top = 0; // of the view; reading it from the box would force a layout
  #height = 0;
  #onView;

  // render(element, i) fills an element in; onView(first, end) is told what came into view.
  constructor(box, height, render, onView) {
    this.#box = box;
    this.height = height;
    this.render = render;
    this.#onView = onView;
    this.#inner.className = "rows";
    box.append(this.#inner);
    box.addEventListener("scroll", () => {
      this.#top = box.scrollTop;
      this.refresh();
    }, { passive: true });
    new ResizeObserver(() => {
      this.#height = box.clientHeight;
      this.refresh();
    }).observe(box);
  }

  set length(n) {
    this.#n = n;
    this.#inner.style.height = `${n * this.height}px`;
    this.refresh();
  }
  get length() { return this.#n; }

  // Before the next frame.
  refresh() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  get inView() {
    const first = Math.max(Math.floor(this.#top / this.height) - AROUND, 0);
    return [first, Math.min(Math.ceil((this.#top + this.#height) / this.height) + AROUND, this.#n)];
  }

  #draw() {
    const [first, end] = this.inView;
    while (this.#rows.length < end - first) {
      this.#inner.append(document.createElement("div"));
      this.#rows = [...this.#inner.children];
      for (const row of this.#rows) row.index = -1; // so that all are placed again
    }
    for (let i = first; i < end; i++) {
      const row = this.#rows[i % this.#rows.length];
      if (row.index !== i) row.style.transform = `translateY(${i * this.height}px)`;
      row.index = i;
      this.render(row, i);
    }
    for (const row of this.#rows) {
      const isOut = row.index < first || row.index >= end;
      if (row.hidden !== isOut) row.hidden = isOut;
    }
    this.#onView?.(first, end);
  }

  reveal(i) {
    const { scrollTop, clientHeight } = this.#box;
    const top = i * this.height;
    if (top < scrollTop) this.#box.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.#box.scrollTop = top + this.height - clientHeight;
    this.refresh();
  }
}
