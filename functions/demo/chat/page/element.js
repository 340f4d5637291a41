// Helpers for elements of the page. Text from users and servers is set as text, never
// as markup.

export const $ = (id) => document.getElementById(id);

/** Creates an element. Children are elements or texts. */
export function element(tag, className, ...children) {
  const created = document.createElement(tag);
  created.className = className;
  created.append(...children);
  return created;
}

/** Creates a circle with the initial of a name, always in the same colour. It is hidden from screen readers. */
export function avatar(name) {
  const circle = element("span", "avatar", [...name][0].toLocaleUpperCase());
  const hue = [...name].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
  circle.style.setProperty("--hue", hue);
  circle.setAttribute("aria-hidden", "true");
  return circle;
}

/** Makes a sentence of an error message. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** Adds an event listener that runs an async action and shows its error in the element problem. */
export function on(target, type, problem, action) {
  target.addEventListener(type, async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await action();
    } catch (error) {
      problem.textContent = sentence(error.message);
    }
  });
}
