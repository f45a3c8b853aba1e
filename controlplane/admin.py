"""Found by the admin at start-up: puts the dashboard on its first page. The cellar's site can't name the roof itself."""

from django.contrib import admin

from controlplane.dashboard import collect

admin.site.use_dashboard(collect)  # type: ignore[attr-defined]
