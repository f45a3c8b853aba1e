'use strict';
// Two comforts; every page works without them.
{
    // 1. Unfinished work: load the page again, unless somebody is writing or looking elsewhere.
    const meta = document.querySelector('meta[name="evenkeel-refresh"]');
    if (meta) {
        const busy = () => document.hidden || Array.from(document.querySelectorAll('textarea, input[type=text]')).some(
            (field) => field === document.activeElement || field.value !== field.defaultValue
        ) || Array.from(document.querySelectorAll('input[type=checkbox]')).some((box) => box.checked !== box.defaultChecked);
        setInterval(() => { if (!busy()) { location.reload(); } }, Number(meta.content) * 1000);
    }
    // 2. The reader's own time beside UTC.
    for (const element of document.querySelectorAll('time[datetime]')) {
        const local = new Date(element.dateTime);
        if (!Number.isNaN(local.valueOf())) {
            element.title = `${element.title}, ${local.toLocaleString()} here`;
        }
    }
}
