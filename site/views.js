// A view of a lesson on a page: each combination of its controls' stops has a picture and words.
document.querySelectorAll("div.view").forEach((view) => {
    const words = JSON.parse(view.querySelector("script").textContent);
    const controls = [...view.querySelectorAll("select, input")];
    const picture = view.querySelector("img");
    const status = view.querySelector("[role=status]");

    function show() {
        const at = controls.map((it) => it.selectedIndex ?? it.value).join("-");
        picture.src = `${view.dataset.pictures}/${at}.png`;
        status.innerHTML = words[at];
        picture.alt = status.textContent;
        for (const slider of view.querySelectorAll("input")) {
            const stop = JSON.parse(slider.dataset.stops)[slider.value];
            slider.nextElementSibling.textContent = stop;
            slider.setAttribute("aria-valuetext", stop);
        }
    }

    controls.forEach((it) => it.addEventListener("input", show));
    show();
});
