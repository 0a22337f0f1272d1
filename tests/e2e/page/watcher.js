// Put in front of a page's own scripts: keeps everything that a console would show in red.

window.problems = [];
const note = (text) => window.problems.push(String(text));
for (const level of ["error", "warn"]) console[level] = (...values) => note(`console.${level}: ${values.join(" ")}`);
// In the capture phase, so that images, scripts and styles that cannot be loaded show too.
addEventListener("error", (event) => note(event.message ?? `cannot load ${event.target.src ?? event.target.href}`), true);
addEventListener("unhandledrejection", (event) => note(`unhandled: ${event.reason}`));
addEventListener("securitypolicyviolation", (event) => note(`policy: ${event.violatedDirective} ${event.blockedURI}`));
