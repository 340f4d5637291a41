// Small things that every part of the page uses. Whatever came from outside becomes
// text, never markup.

export const $ = (id) => document.getElementById(id);

/** Makes an element; children are elements, or text. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** A disc with somebody's initial, always in the same colour. Only to look at. */
export function avatar(who) {
  const disc = element("span", "avatar", [...who][0].toLocaleUpperCase());
  const hue = [...who].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
  disc.style.setProperty("--hue", hue);
  disc.setAttribute("aria-hidden", "true");
  return disc;
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** Listens: does what a control asks for, and says in problem what went wrong. */
export function when(target, event, problem, act) {
  target.addEventListener(event, async (happened) => {
    happened.preventDefault();
    problem.textContent = "";
    try {
      await act();
    } catch (error) {
      problem.textContent = sentence(error.message);
    }
  });
}
